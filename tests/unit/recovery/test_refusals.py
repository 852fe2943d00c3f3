"""Threads of a worker outlive what PostgreSQL refuses: it is logged, and they go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import psycopg2
import pytest

from app.recovery import notes
from app.recovery.leases import LeaseKeeper
from app.recovery.notes import NoteMover
from app.recovery.sweep import SweepOptions
from app.recovery.sweeper import Sweeper
from tests.waiting import wait_until


class Refusing:
    """A store of a database that refuses whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def _refuse(self, *_: object) -> None:
        self.asked += 1
        raise self.error

    take_beat = unlocked = move = register = _refuse

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(params=[psycopg.errors.UntranslatableCharacter, psycopg2.DataError])
def store(request: pytest.FixtureRequest) -> Refusing:
    return Refusing(request.param("refused"))


def sweeper(store: Any) -> Sweeper:
    unused: Any = None
    return Sweeper(
        store,
        SweepOptions(recovers=True, most_crashes=5, interval_ms=1),
        publish=unused,
        messages=unused,
        may_judge=unused,
        tell=unused,
    )


def mover(store: Any) -> NoteMover:
    return NoteMover(store)


def keeper(store: Any) -> LeaseKeeper:
    return LeaseKeeper(store, list, heartbeat_s=0.001, lease_s=1)


def stop(made: Sweeper | NoteMover | LeaseKeeper) -> None:
    if isinstance(made, LeaseKeeper):
        made.stop(unregister=False)
    else:
        made.stop()


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "LOOKS_EVERY_S", 0.001)


@pytest.fixture(autouse=True)
def unraised(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    yield raised
    assert raised == []


@pytest.mark.parametrize("make", [sweeper, mover, keeper])
def test_a_thread_asks_again_after_what_was_refused(
    make: Callable[[Any], Sweeper | NoteMover | LeaseKeeper],
    store: Refusing,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = make(store)
    made.start()

    wait_until(lambda: store.asked > 2, "it asks again")

    stop(made)
    first = next(record for record in caplog.records if record.exc_info is not None)
    assert first.exc_info is not None
    assert first.exc_info[1] is store.error
