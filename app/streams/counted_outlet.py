"""An outlet that says what went out by it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from app.events.log import Head, StoredEvent
from app.streams.delivery import Outlet
from app.streams.relay import End, Events

#: In every envelope, before its time.
_BEFORE_TIME = b'"timestamp":"'


class RelayMeter(Protocol):
    """Counts what clients are sent. From any thread."""

    def opened(self) -> None:
        """A client is served."""
        ...

    def closed(self) -> None:
        """It is no longer."""
        ...

    def sent(self, count: int, lag_s: float | None) -> None:
        """So many events were sent, the last so long (s) after its time; None: it was old."""
        ...


class CountedOutlet:
    """Another outlet, counted. What was there before the client, as `head` says, is not late.

    `now` is the time in seconds since 1970: events are stamped by PostgreSQL's clock.
    """

    def __init__(
        self, outlet: Outlet, meter: RelayMeter, head: Head, now: Callable[[], float] = time.time
    ) -> None:
        self._outlet = outlet
        self._meter = meter
        self._head = head
        self._now = now

    @property
    def is_open(self) -> bool:
        """Whether the client is there, as far as is known, and was not said goodbye to."""
        return self._outlet.is_open

    @property
    def is_writable(self) -> bool:
        """Whether the last message has gone out, and the next one may be sent."""
        return self._outlet.is_writable

    def begin(self, on_writable: Callable[[], object], on_end: Callable[[], object]) -> None:
        """From now on tell when it becomes writable again and, once, when it is no more."""
        self._meter.opened()

        def end() -> None:
            self._meter.closed()
            on_end()

        self._outlet.begin(on_writable, end)

    def send_events(self, events: Events) -> None:
        """Send events in one message. Without effect once it isn't open."""
        self._outlet.send_events(events)
        if events.events:
            self._meter.sent(len(events.events), self._lag_s(events.events[-1]))

    def send_end(self, end: End) -> None:
        """Send that there are no more events. Without effect once it isn't open."""
        self._outlet.send_end(end)

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye after what was sent, for one of RFC 6455's reasons; then it ends."""
        self._outlet.close(code, reason)

    def cut(self) -> None:
        """End it at once."""
        self._outlet.cut()

    def _lag_s(self, event: StoredEvent) -> float | None:
        if event.index <= self._head.last_event_index:
            return None
        at = event.envelope.split(_BEFORE_TIME, 1)[1].split(b'"', 1)[0].decode()
        return self._now() - datetime.fromisoformat(at).timestamp()
