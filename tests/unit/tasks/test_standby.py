"""What looks for work while the broker is away, and how it stops."""

from __future__ import annotations

import threading
from typing import Any

from redis.exceptions import ConnectionError as BrokerAway

from tasks.standby import Standby


class Broker:
    """One that doesn't answer."""

    def ping(self) -> bool:
        raise BrokerAway


def test_stopping_waits_for_what_was_taken() -> None:
    broker: Any = Broker()
    has_begun, is_told, done = threading.Event(), threading.Event(), []

    def work() -> None:
        has_begun.set()
        is_told.wait(10)
        done.append("all")

    standby = Standby(broker, lambda: True, work, interval_s=0.001)
    standby.start()
    assert has_begun.wait(10)
    stopping = threading.Thread(target=standby.stop)
    stopping.start()
    stopping.join(0.1)

    assert stopping.is_alive()

    is_told.set()
    stopping.join(10)
    assert not stopping.is_alive()
    assert done == ["all"]


def test_what_never_stood_by_is_stopped_at_once() -> None:
    broker: Any = Broker()

    Standby(broker, lambda: True, lambda: None, interval_s=1).stop()
