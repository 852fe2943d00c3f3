"""What an API process knows of the executions that are being watched in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum, auto

from app.events.log import Head
from app.events.wire import FIRST_INDEX
from app.streams.threads import Condition


class News(Enum):
    """Why a wait ended."""

    EVENTS = auto()
    ENDED = auto()
    GONE = auto()
    NONE = auto()


#: Called when more is known of a channel, by whoever learned it. It must not wait.
Listener = Callable[[], object]


class Channel:
    """One watched execution: how far its log is known to reach. Knowledge only grows."""

    def __init__(
        self,
        execution_id: str,
        head: Head,
        condition: Callable[[], Condition] = threading.Condition,
    ) -> None:
        self.execution_id = execution_id
        self.watchers = 0
        #: Whether the stream in Redis holds what nobody of us wrote: it is left alone then.
        self.is_foreign = False
        #: What one of those who read it leaves for the others (app.streams.relay).
        self.shared: object | None = None
        self._known = head.last_event_index
        self._status = head.status if head.is_final else None
        self._gone = False
        self._interrupted = False
        self._changed = condition()
        self._listeners: tuple[Listener, ...] = ()

    @property
    def known(self) -> int:
        """The index of the last event that is known to be committed."""
        return self._known

    @property
    def final_status(self) -> str | None:
        """What became of the execution, once that is known."""
        return self._status

    def note(self, last_index: int, status: str | None = None) -> None:
        """Events up to this index are committed; the last one ends it with `status`, if given."""
        if last_index > self._known or (status is not None and self._status is None):
            self._change(known=last_index, status=status)

    def learn(self, head: Head | None) -> None:
        """PostgreSQL said this of the execution; None: it is no more."""
        if head is None:
            self._change(gone=True)
        else:
            self.note(head.last_event_index, head.status if head.is_final else None)

    @property
    def is_interrupted(self) -> bool:
        """Whether nobody is to wait here any more."""
        return self._interrupted

    def interrupt(self) -> None:
        """End every wait, present and to come."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def listen(self, listener: Listener) -> None:
        """Have this called whenever more is known."""
        with self._changed:
            self._listeners = (*self._listeners, listener)

    def unlisten(self, listener: Listener) -> None:
        """Have it called no more."""
        with self._changed:
            self._listeners = tuple(each for each in self._listeners if each != listener)

    def wait(self, index: int, timeout_s: float) -> News:
        """Wait until this event is committed, or none will be, or the time is up."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._interrupted or self.news_of(index) is not News.NONE, timeout_s
            )
            return self.news_of(index)

    def rest(self, seconds: float) -> None:
        """Wait whatever comes, unless interrupted."""
        with self._changed:
            self._changed.wait_for(lambda: self._interrupted, seconds)

    def news_of(self, index: int) -> News:
        """What is to be said of this event now; NONE: it may come yet."""
        if self._gone:
            return News.GONE
        if self._known >= index:
            return News.EVENTS
        if self._status is not None:
            return News.ENDED
        return News.NONE

    def _change(
        self, *, known: int = FIRST_INDEX, status: str | None = None, gone: bool = False
    ) -> None:
        with self._changed:
            self._known = max(self._known, known)
            self._status = self._status or status
            self._gone = self._gone or gone
            self._changed.notify_all()
            listeners = self._listeners
        for listener in listeners:
            listener()


class Channels:
    """The channels that have watchers. One for each execution, however many watch it."""

    def __init__(
        self,
        on_new: Callable[[], None],
        condition: Callable[[], Condition] = threading.Condition,
    ) -> None:
        self._on_new = on_new
        self._condition = condition
        self._channels: dict[str, Channel] = {}
        self._lock = threading.Lock()
        self._interrupted = False

    def open(self, execution_id: str, head: Head) -> Channel:
        """Watch an execution whose head was just read."""
        with self._lock:
            channel = self._channels.get(execution_id)
            is_new = channel is None
            if channel is None:
                channel = Channel(execution_id, head, self._condition)
                self._channels[execution_id] = channel
            channel.watchers += 1
            interrupted = self._interrupted
        channel.learn(head)
        if interrupted:
            channel.interrupt()
        if is_new and not head.is_final:
            self._on_new()
        return channel

    def close(self, channel: Channel) -> None:
        """Watch no more."""
        with self._lock:
            channel.watchers -= 1
            if not channel.watchers:
                del self._channels[channel.execution_id]

    def all(self) -> list[Channel]:
        """Those that are watched now."""
        with self._lock:
            return list(self._channels.values())

    def interrupt(self) -> None:
        """End every wait, in channels present and to come."""
        with self._lock:
            self._interrupted = True
            channels = list(self._channels.values())
        for channel in channels:
            channel.interrupt()
