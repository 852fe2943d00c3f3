"""When a worker's process takes nothing more."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from celery.worker import state

from app.config import load_settings
from app.store.records import WorkerRow
from tasks.announcer import Announcer
from tasks.app import app
from tasks.board import Board, Slot
from tasks.draining import DrainFlag
from tasks.process import WorkerProcess


def made(redis_url: str, parent: str | None = None, slot: Slot | None = None) -> WorkerProcess:
    row = WorkerRow("w1", parent, "host", os.getpid(), "prefork", 1, ["default"], 10_000, 7)
    # Nobody listens there, and nobody asks.
    nowhere = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d", "REDIS_URL": redis_url}
    unused: Any = None
    return WorkerProcess(unused, load_settings(nowhere), row, unused, DrainFlag(), slot=slot)


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


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, sig: killed.append(sig))
    monkeypatch.setattr(state, "should_stop", None)
    return killed


def test_a_worker_that_retires_is_sent_no_signal_that_counts_as_its_operators(
    redis_url: str, killed: list[int]
) -> None:
    process = made(redis_url)

    process._retire()
    process._leave()

    assert killed == []
    assert process._draining.is_set()
    assert state.should_stop == 0


def test_a_child_that_retires_has_itself_replaced_once_it_is_idle(
    redis_url: str, killed: list[int]
) -> None:
    process = made(redis_url, "w1", Board(1).slots[0])
    process._retire()
    assert killed == []

    process._leave()

    assert killed == [signal.SIGTERM]
    assert not process._draining.is_set()


def test_what_is_told_to_end_already_is_sent_nothing(redis_url: str, killed: list[int]) -> None:
    process = made(redis_url, "w1", Board(1).slots[0])
    process._draining.set()

    process._retire()
    process._leave()

    assert killed == []
