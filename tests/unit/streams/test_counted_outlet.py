"""What a client is sent is counted, and how late it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.events.log import Head, StoredEvent
from app.events.wire import envelopes
from app.metrics.catalogue import RelayMetrics
from app.streams.counted_outlet import CountedOutlet
from app.streams.relay import End, Events
from tests.reading_metrics import value

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Taking:
    """A client that takes everything."""

    is_open = True
    is_writable = True

    def __init__(self) -> None:
        self.told: list[object] = []
        self.end: Callable[[], object] | None = None

    def begin(self, on_writable: Callable[[], object], on_end: Callable[[], object]) -> None:
        self.end = on_end

    def send_events(self, events: Events) -> None:
        self.told.append(events)

    def send_end(self, end: End) -> None:
        self.told.append(end)

    def close(self, code: int, reason: str = "") -> None:
        self.told.append((code, reason))

    def cut(self) -> None:
        self.told.append("cut")


class Counted:
    """A client that came when four events were there, and its metrics."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.taking = Taking()
        head = Head(3, "running", "local")
        meter = RelayMetrics(registry)
        self.outlet = CountedOutlet(self.taking, meter, head, lambda: self.now)
        self.now = NOON.timestamp()
        self._registry = registry

    def value(self, name: str, **labels: str) -> float:
        return value(generate_latest(self._registry).decode(), f"chaingraph_relay_{name}", **labels)

    def send(self, first: int, count: int, ago_s: float) -> Events:
        at = NOON - timedelta(seconds=ago_s)
        lines = envelopes("EX1", first, at, [("node:progress", "{}")] * count)
        stored = [StoredEvent(first + n, "node:progress", line) for n, line in enumerate(lines)]
        events = Events(stored, first + count)
        self.outlet.send_events(events)
        return events


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_a_client_is_counted_from_its_begin_to_its_end(counted: Counted) -> None:
    ended: list[str] = []
    counted.outlet.begin(lambda: None, lambda: ended.append("told"))
    assert counted.value("sockets") == 1
    assert counted.taking.end is not None
    counted.taking.end()
    assert (counted.value("sockets"), ended) == (0, ["told"])


def test_what_was_there_before_is_no_lag(counted: Counted) -> None:
    counted.send(0, 4, ago_s=500)
    assert counted.value("events_total") == 4
    assert counted.value("lag_seconds_count") == 0


def test_what_comes_live_is_as_late_as_it_is(counted: Counted) -> None:
    counted.send(4, 2, ago_s=0.2)
    counted.send(6, 1, ago_s=-5)
    assert counted.value("events_total") == 3
    assert counted.value("lag_seconds_count") == 2
    # The clocks of two machines differ: nothing is told before it happened.
    assert counted.value("lag_seconds_sum") == pytest.approx(0.2)
    assert counted.value("lag_seconds_bucket", le="0.1") == 1


def test_everything_reaches_the_client(counted: Counted) -> None:
    events = counted.send(4, 1, ago_s=0)
    end = End("completed", 5)
    counted.outlet.send_end(end)
    counted.outlet.close(1000, "bye")
    counted.outlet.cut()
    assert counted.taking.told == [events, end, (1000, "bye"), "cut"]
    assert (counted.outlet.is_open, counted.outlet.is_writable) == (True, True)
