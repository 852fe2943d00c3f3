from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.unit.web.fakes import fake_services
from web.factory import build_app
from web.services import Services

MAX_BODY_BYTES = 5 * 1024 * 1024


@pytest.fixture
def faked() -> Services:
    return fake_services()


@pytest.fixture
def app(faked: Services) -> Flask:
    return build_app(faked, max_body_bytes=MAX_BODY_BYTES)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
