"""Sending an execution's events to one client, at its own pace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.streams.channels import News
from app.streams.pump import AT_ONCE, SLOW, Pump, Served, Slow
from app.streams.relay import AsksLog, End, Events, Feed, Gone, Pending

NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
#: It was deleted, or its reader may not read it any more.
REFUSED = 1008
#: A fault of ours.
INTERNAL_ERROR = 1011
RESTARTING = 1012

#: No event has this index: nobody is waited for but the end.
_NEVER = 2**63


class Outlet(Protocol):
    """The way out to one client. Nothing here waits; any thread may call.

    It keeps what the client did not take yet of one message, and takes the next one when that
    has gone out.
    """

    @property
    def is_open(self) -> bool:
        """Whether the client is there, as far as is known, and was not said goodbye to."""
        ...

    @property
    def is_writable(self) -> bool:
        """Whether the last message has gone out, and the next one may be sent."""
        ...

    def begin(self, on_writable: Callable[[], object], on_end: Callable[[], object]) -> None:
        """From now on tell when it becomes writable again and, once, when it is no more."""
        ...

    def send_events(self, events: Events) -> None:
        """Send events in one message. Without effect once it isn't open."""
        ...

    def send_end(self, end: End) -> None:
        """Send that there are no more events. Without effect once it isn't open."""
        ...

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye after what was sent, for one of RFC 6455's reasons; then it ends."""
        ...

    def cut(self) -> None:
        """End it at once."""
        ...


class Delivery(Served):
    """One client that is sent what its feed gives."""

    def __init__(self, feed: Feed, outlet: Outlet, pump: Pump) -> None:
        super().__init__()
        self._feed = feed
        self._outlet = outlet
        self._pump = pump
        #: The event that is waited for.
        self._awaited = _NEVER

    def begin(self, on_end: Callable[[], object]) -> None:
        """Send from now on, until the outlet ends."""
        self._feed.channel.listen(self._hear)
        self._outlet.begin(self._wake, on_end)
        self._pump.begin()
        self._wake()

    def end(self) -> None:
        """Send no more."""
        self._feed.channel.unlisten(self._hear)
        self._pump.drop(self)

    def turn(self, *, slow: bool) -> float | Slow | None:
        """Send one message, if there is one and room for it."""
        self._awaited = _NEVER
        if not self._outlet.is_open or not self._outlet.is_writable:
            return None
        match self._feed.poll(may_ask_log=slow):
            case Events() as events:
                self._outlet.send_events(events)
                return AT_ONCE
            case End() as end:
                self._outlet.send_end(end)
                self._outlet.close(NORMAL_CLOSURE)
            case Gone():
                self._outlet.close(REFUSED, "the execution was deleted")
            case AsksLog():
                return SLOW
            case Pending(index, until):
                return self._wait(index, until)
        return None

    def fail(self) -> None:
        """A turn ended by an error that nobody expects: the client may come again."""
        self._outlet.close(INTERNAL_ERROR, "something went wrong here")

    def _wait(self, index: int | None, until: float | None) -> float | None:
        if index is not None:
            self._awaited = index
            if self._feed.channel.news_of(index) is not News.NONE:
                # It came before anybody knew that it is waited for.
                return AT_ONCE
        return until

    def _hear(self) -> None:
        if self._feed.channel.news_of(self._awaited) is not News.NONE:
            self._wake()

    def _wake(self) -> None:
        self._pump.wake(self)
