"""Simulated worlds in memory. Nothing is sent to Redis; Celery only wants to know of one."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def quiet(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What goes wrong in a world is warned of thousands of times."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
