"""One reader's way through an execution's events: from Redis where it can, else PostgreSQL.

A feed keeps a position and at most a little of what it has read; how fast it goes is up to
whoever asks it for more. `poll` never waits for news, `next` does.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from app.errors import StoreUnavailable
from app.events.log import STATUS_AT_END, EventSource, StoredEvent
from app.events.wire import FIRST_INDEX, type_of
from app.streams.channels import Channel, News
from app.streams.frames import MAX_FRAME_BYTES, count_of_frame
from app.streams.tail import Entry, Tail

#: Events that are read at once, at most.
PAGE = 100
#: How many events an entry of Redis is taken to have; most hold one node's.
EVENTS_PER_ENTRY = 4
#: What doesn't fit into a frame is kept up to this size (bytes), else read again.
MAX_KEPT_BYTES = 32 * 1024
#: How long (s) to wait before PostgreSQL is tried again.
REST_S = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader asks for. `types` of None: all; a batch ends at its size or its time."""

    from_index: int = FIRST_INDEX
    types: frozenset[str] | None = None
    batch_size: int = 100
    batch_timeout_s: float = 0.025


@dataclass(frozen=True, slots=True)
class Events:
    """Events to send, and where to go on after them.

    `forms` are the messages that were made of them, by the name of the form: made once for all
    who are sent the same.
    """

    events: list[StoredEvent]
    next_index: int
    forms: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class End:
    """There are no more events."""

    status: str
    next_index: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The execution was deleted."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Nothing to send yet: look again once the event `index` is committed, or at `until`.

    `until` is on the feed's clock (s); None where there is no such index, or no such time.
    """

    index: int | None = None
    until: float | None = None


class AsksLog:
    """What comes next has to be read from PostgreSQL, which the caller didn't want."""


ASKS_LOG = AsksLog()
#: What a feed gives when it is asked for more.
Step = Events | End | Gone | Pending | AsksLog


@dataclass(frozen=True, slots=True)
class _Shared:
    """What one feed read last, for others of the same execution that come to the same place."""

    place: tuple[int, frozenset[str] | None, int]
    events: Events
    read_to: int
    status: str | None


class Feed:
    """Reads one execution's events for one reader. For one thread at a time."""

    def __init__(
        self,
        channel: Channel,
        tail: Tail,
        log: EventSource,
        wanted: Wanted,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = channel
        self._tail = tail
        self._log = log
        self._wanted = wanted
        self._clock = clock
        self._read_to = wanted.from_index
        self._kept: deque[StoredEvent] = deque()
        self._kept_bytes = 0
        self._status: str | None = None
        self._page = PAGE
        self._batch_until: float | None = None
        self._rests_until = 0.0
        self._may_ask_log = True
        self._asks_log = False

    @property
    def channel(self) -> Channel:
        """What is known of the execution that is read."""
        return self._channel

    def next(self, timeout_s: float) -> Events | End | Gone | None:
        """Wait for what comes next; None when the time is up or the wait was interrupted."""
        deadline = self._clock() + timeout_s
        while True:
            match self.poll():
                case Pending() as pending:
                    if not self._wait(pending, deadline):
                        return None
                case Events() | End() | Gone() as step:
                    return step

    def poll(self, *, may_ask_log: bool = True) -> Step:
        """What comes next, without waiting for it.

        Without `may_ask_log` PostgreSQL isn't asked: ASKS_LOG where it would have been.
        """
        self._may_ask_log, self._asks_log = may_ask_log, False
        if self._kept:
            self._gather()
            return self._take()
        place = (self._read_to, self._wanted.types, self._wanted.batch_size)
        if (events := self._take_shared(place)) is not None:
            return events
        step = self._find() or self._take()
        if isinstance(step, Events) and not self._kept:
            self._channel.shared = _Shared(place, step, self._read_to, self._status)
        return step

    @property
    def _is_short_of_events(self) -> bool:
        return self._status is None and self._channel.known >= self._read_to

    def _take_shared(self, place: tuple[int, frozenset[str] | None, int]) -> Events | None:
        """Take what another feed read from here, if one did a moment ago."""
        shared = self._channel.shared
        if not isinstance(shared, _Shared) or shared.place != place or self._status is not None:
            return None
        self._read_to, self._status = shared.read_to, shared.status
        self._batch_until = None
        return shared.events

    def _find(self) -> End | Gone | Pending | AsksLog | None:
        """Read what is there; None if something was found to be sent."""
        while not self._kept:
            if self._status is not None:
                return End(self._status, self._read_to)
            step = self._nothing_to_read() or self._held_back()
            if step is not None:
                return step
            self._gather()
            if self._asks_log and not self._kept:
                return ASKS_LOG
            if not self._kept and self._is_short_of_events:
                # They are there and can't be had. Nobody gains by asking at once.
                self._rests_until = self._clock() + REST_S
                return Pending(until=self._rests_until)
        return None

    def _nothing_to_read(self) -> End | Gone | Pending | None:
        match self._channel.news_of(self._read_to):
            case News.NONE:
                return Pending(index=self._read_to)
            case News.GONE:
                return Gone()
            case News.ENDED:
                return End(self._channel.final_status or "", self._channel.known + 1)
        return None

    def _wait(self, pending: Pending, deadline: float) -> bool:
        """Wait for what a poll said; whether to poll again."""
        now = self._clock()
        left_s = deadline - now
        if left_s <= 0 or self._channel.is_interrupted:
            return False
        if pending.until is not None:
            left_s = min(left_s, max(0.0, pending.until - now))
        if pending.index is None:
            self._channel.rest(left_s)
        else:
            self._channel.wait(pending.index, left_s)
        return True

    def _held_back(self) -> Pending | None:
        """Let a batch become full, but no longer than its time; let PostgreSQL rest."""
        now = self._clock()
        if now < self._rests_until:
            return Pending(until=self._rests_until)
        full = self._read_to + self._wanted.batch_size - 1
        if not self._wanted.batch_timeout_s or self._channel.news_of(full) is not News.NONE:
            return None
        if self._batch_until is None:
            self._batch_until = now + self._wanted.batch_timeout_s
        return Pending(full, self._batch_until) if now < self._batch_until else None

    def _gather(self) -> None:
        """Read what a frame can hold, of what is there."""
        try:
            while self._has_room and self._channel.known >= self._read_to:
                if not self._read():
                    break
        except StoreUnavailable as error:
            _log.warning("events can't be read: %s", error)
        if not self._asks_log:
            self._batch_until = None

    @property
    def _has_room(self) -> bool:
        return (
            self._status is None
            and len(self._kept) < self._wanted.batch_size
            and self._kept_bytes < MAX_FRAME_BYTES
        )

    def _read(self) -> bool:
        """Read the next events, from where they are; False where there are none any more."""
        position = self._read_to
        entries = self._tail.read(
            self._channel.execution_id, position, max(1, self._page // EVENTS_PER_ENTRY)
        )
        if entries and entries[0].first_index == self._read_to:
            self._read_entries(entries)
        elif not self._may_ask_log:
            self._asks_log = True
        else:
            known = self._channel.known
            up_to = min(known, entries[0].first_index - 1) if entries else known
            self._read_log(up_to)
        return self._read_to > position

    def _read_entries(self, entries: list[Entry]) -> None:
        """Take entries as long as they follow each other."""
        for entry in entries:
            if entry.first_index != self._read_to:
                return
            for index, envelope in enumerate(entry.envelopes, entry.first_index):
                self._keep(StoredEvent(index, type_of(envelope), envelope))
            self._read_to = entry.first_index + len(entry.envelopes)

    def _read_log(self, up_to: int) -> None:
        """Take from PostgreSQL what it has up to an index."""
        types = self._wanted.types
        looked_for = None if types is None else types | STATUS_AT_END.keys()
        execution_id = self._channel.execution_id
        events = self._log.read(execution_id, self._read_to, self._page, looked_for, up_to=up_to)
        for event in events:
            self._keep(event)
        if len(events) == self._page:
            self._read_to = events[-1].index + 1
        elif types is not None or (events and events[-1].index == up_to):
            self._read_to = up_to + 1
        if len(events) < self._page:
            # Retention deletes the execution before its events: while it is there they were.
            head = self._log.head(execution_id)
            self._channel.learn(head)
            if head is not None and head.is_final and self._read_to > head.last_event_index:
                # A database that fell back may end before what was known of it.
                self._status = head.status

    def _keep(self, event: StoredEvent) -> None:
        self._status = STATUS_AT_END.get(event.type, self._status)
        if self._wanted.types is None or event.type in self._wanted.types:
            self._kept.append(event)
            self._kept_bytes += len(event.envelope)

    def _take(self) -> Events:
        """Take what fits into a frame; keep the rest if it is small, else read it again."""
        count = count_of_frame(self._kept, self._wanted.batch_size)
        taken = [self._kept.popleft() for _ in range(count)]
        self._kept_bytes -= sum(len(event.envelope) for event in taken)
        next_index = self._kept[0].index if self._kept else self._read_to
        if self._kept_bytes > MAX_KEPT_BYTES:
            self._page = max(1, count)
            self._read_to = next_index
            self._kept.clear()
            self._kept_bytes = 0
            self._status = None
        else:
            self._page = min(PAGE, self._page * 2)
        return Events(taken, next_index)
