"""What looks for work while the broker is away, and how it stops."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from redis.exceptions import ConnectionError as BrokerAway

from app.errors import StoreUnavailable
from tasks.standby import Standby
from tests.waiting import wait_until


class Broker:
    """One that doesn't answer."""

    def ping(self) -> bool:
        raise BrokerAway


def test_stopping_waits_for_what_was_taken() -> None:
    broker: Any = Broker()
    has_begun, is_told, done = threading.Event(), threading.Event(), []

    def work() -> None:
        has_begun.set()
        is_told.wait(60)
        done.append("all")

    standby = Standby(broker, lambda: True, work, interval_s=0.001)
    standby.start()
    assert has_begun.wait(60)
    stopping = threading.Thread(target=standby.stop)
    stopping.start()
    stopping.join(0.1)

    assert stopping.is_alive()

    is_told.set()
    stopping.join(60)
    assert not stopping.is_alive()
    assert done == ["all"]


def test_what_never_stood_by_is_stopped_at_once() -> None:
    broker: Any = Broker()

    Standby(broker, lambda: True, lambda: None, interval_s=1).stop()


@pytest.mark.parametrize("fault", [StoreUnavailable("away"), psycopg.DataError("refused")])
def test_it_goes_on_where_postgresql_was_away_or_refused(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    tries = work_again_after(fault)

    assert tries > 2
    assert {record.message.split(":")[0] for record in caplog.records} == {"could not work"}


def test_it_goes_on_after_a_fault_of_ours_which_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raised: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)

    tries = work_again_after(KeyError("a fault of ours"))

    assert tries > 2
    assert {each.exc_type for each in raised} == {KeyError}


def work_again_after(fault: Exception) -> int:
    """Stand by for work that always ends so; gives how often it was tried."""
    broker: Any = Broker()
    tries: list[str] = []

    def work() -> None:
        tries.append("one")
        raise fault

    standby = Standby(broker, lambda: True, work, interval_s=0.001)
    standby.start()
    wait_until(lambda: len(tries) > 2, "it works again")
    standby.stop()
    # The one that was replaced tells of its end after the one that is waited for has begun.
    wait_until(lambda: not any(map(is_standby, threading.enumerate())), "all have ended")
    return len(tries)


def is_standby(thread: threading.Thread) -> bool:
    return thread.name == "standby"
