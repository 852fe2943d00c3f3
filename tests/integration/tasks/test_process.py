"""When a worker's process takes nothing more."""

from __future__ import annotations

import os
from typing import Any

import pytest

from app.config import load_settings
from app.store.records import WorkerRow
from tasks.announcer import Announcer
from tasks.app import app
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


def test_leases_are_kept_until_what_ran_without_a_message_is_over(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, stopped = made(redis_url), []
    process.announcer = Announcer(app, "w1", enabled=False)
    parts = {"standby": process.standby, "pulse": process._pulse, "leases": process.leases}
    for name, part in parts.items():
        monkeypatch.setattr(part, "stop", lambda name=name, **_: stopped.append(name))
    monkeypatch.setattr(process._listener, "stop", lambda: None)

    process.end()

    assert stopped == ["standby", "pulse", "leases"]


def test_a_step_that_came_as_the_drain_began_is_sent_on(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, sent = made(redis_url), []
    process.announcer = Announcer(app, "w1", enabled=False)

    def told_to_end(*_: object) -> bool:
        process._draining.set()
        return False

    monkeypatch.setattr(process._executor, "work_step", told_to_end)
    monkeypatch.setattr(process.dispatcher, "send_steps", lambda *step: sent.append(step))

    assert not process.run_step("EX1", "a", "slow")

    assert sent == [("EX1", {"a": "slow"})]
