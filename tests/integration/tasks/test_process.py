"""When a worker's process takes nothing more."""

from __future__ import annotations

import os
from typing import Any

import pytest

from app.config import load_settings
from app.store.records import WorkerRow
from tasks.draining import DrainFlag
from tasks.process import WorkerProcess


def made(redis_url: str, parent: str | None = None) -> WorkerProcess:
    row = WorkerRow("w1", parent, "host", os.getpid(), "prefork", 1, ["default"], 10_000, 7)
    # Nobody listens there, and nobody asks.
    nowhere = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d", "REDIS_URL": redis_url}
    unused: Any = None
    return WorkerProcess(unused, load_settings(nowhere), row, unused, DrainFlag())


@pytest.fixture(autouse=True)
def broker(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's settings are those of the environment when its app is first used."""
    monkeypatch.setenv("REDIS_URL", redis_url)


@pytest.mark.parametrize(("parent", "drains"), [(None, False), ("w1", True)])
def test_only_a_child_ends_with_whoever_started_it(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, parent: str | None, drains: bool
) -> None:
    process = made(redis_url, parent)
    assert not process._is_draining()

    monkeypatch.setattr(os, "getppid", lambda: 1)

    assert process._is_draining() is drains
