from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.config import load_settings
from tests.openapi import CheckedClient
from web import create_app

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(autouse=True)
def broker(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's settings are those of the environment when its app is first used."""
    monkeypatch.setenv("REDIS_URL", redis_url)


@pytest.fixture
def app(database_url: str, redis_url: str) -> Flask:
    """The API; every answer to a client of it is held against its own description."""
    app = create_app(load_settings({"DATABASE_URL": database_url, "REDIS_URL": redis_url}))
    app.test_client_class = CheckedClient
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def rows(database_url: str) -> Rows:
    """Ask the database, beside the app."""

    def ask(statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(database_url)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, arguments)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    return ask


@pytest.fixture
def flow_id(client: FlaskClient) -> str:
    """A flow of two nodes."""
    flow_id: str = client.post("/api/v1/flows", json=GREETING).get_json()["id"]
    return flow_id


def text(node_id: str, value: Any = "Ada") -> dict[str, Any]:
    return {"id": node_id, "type": "TextNode", "values": {"text": value}}


def flow_of(*nodes: dict[str, Any], edges: Any = (), **more: Any) -> dict[str, Any]:
    document = {"metadata": {"name": "Greeting"}, "nodes": list(nodes)}
    return {**document, "edges": list(edges), **more}


GREETING = flow_of(text("a"), text("b"), edges=[{"source": "a.text", "target": "b.text"}])
