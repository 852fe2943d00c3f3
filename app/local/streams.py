"""Streams, signals and wake-ups in this process: what Redis is to several."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

from app.events.log import status_told
from app.streams import keys
from app.streams.channels import Channels
from app.streams.protocol import Batch
from app.streams.signals import MAX_WAITING
from app.streams.tail import Entry

Hook = Callable[[str], object]


class MemoryStreams:
    """The tails of all streams, and signals: a Publisher, a Tail and a SignalBox at once.

    `clock` is monotonic, in seconds. `before` is called with the name of each operation on
    the thread that does it. While `is_away` nothing is there; `clear` is a restart that loses
    all. A stream keeps `maxlen` entries, for `ttl_s` after its last.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        ttl_s: float = 3600,
        maxlen: int = 10_000,
        before: Hook | None = None,
    ) -> None:
        self.is_away = False
        self._clock = clock
        self._ttl_s = ttl_s
        self._maxlen = maxlen
        self._before = before or _do_nothing
        self._changed = threading.Condition()
        self._streams: dict[str, deque[Entry]] = {}
        self._stream_ends: dict[str, float] = {}
        self._markers: dict[str, float] = {}
        self._lists: dict[str, deque[str]] = {}
        self._news = 0

    def clear(self) -> None:
        """Lose everything."""
        with self._changed:
            for each in (self._streams, self._stream_ends, self._markers, self._lists):
                each.clear()
            self._changed.notify_all()

    # -- events

    def publish(self, execution_id: str, first_index: int, envelopes: Sequence[bytes]) -> bool:
        """Publish events that are committed; whether they were handed on."""
        return self.publish_many((Batch(execution_id, first_index, envelopes),))

    def publish_many(self, batches: Iterable[Batch]) -> bool:
        """Publish events of many executions in one go; whether they were handed on."""
        self._before("publish")
        with self._changed:
            if self.is_away:
                return False
            self._forget_old()
            for batch in batches:
                self._append(batch)
            self._news += 1
            self._changed.notify_all()
        return True

    def _append(self, batch: Batch) -> None:
        """Add an entry, unless it, or a later one, is there already."""
        stream = self._streams.setdefault(batch.execution_id, deque(maxlen=self._maxlen))
        if batch.envelopes and (not stream or stream[-1].first_index < batch.first_index):
            stream.append(Entry(batch.first_index, list(batch.envelopes)))
        # In the order of their ends, for the oldest to be found first.
        self._stream_ends.pop(batch.execution_id, None)
        self._stream_ends[batch.execution_id] = self._clock() + self._ttl_s

    def _forget_old(self) -> None:
        now = self._clock()
        over = []
        for execution_id, end in self._stream_ends.items():
            if end > now:
                break
            over.append(execution_id)
        for execution_id in over:
            del self._stream_ends[execution_id]
            del self._streams[execution_id]

    def read(self, execution_id: str, from_index: int, limit: int) -> list[Entry]:
        """Read up to `limit` entries of those that begin at or after an index, in order."""
        self._before("read")
        with self._changed:
            if self.is_away:
                return []
            stream = self._streams.get(execution_id, ())
            return [entry for entry in stream if entry.first_index >= from_index][:limit]

    def close(self) -> None:
        """It holds no connections."""

    def last_event(self, execution_id: str) -> tuple[int, bytes] | None:
        """The last event that a stream holds: its index and its envelope."""
        with self._changed:
            stream = self._streams.get(execution_id)
            if not stream or self.is_away:
                return None
            last = stream[-1]
            return last.first_index + len(last.envelopes) - 1, last.envelopes[-1]

    def await_news(self, seen: int, timeout_s: float) -> int:
        """Wait until more was published than was `seen`; gives what to pass the next time."""
        with self._changed:
            self._changed.wait_for(lambda: self._news > seen, timeout_s)
            return self._news

    def nudge(self) -> None:
        """End every wait for news."""
        with self._changed:
            self._news += 1
            self._changed.notify_all()

    # -- signals

    def set_start(self, execution_id: str, ttl_ms: int) -> bool:
        """Set the start signal; whether it stands."""
        self._before("set_start")
        return self._mark(keys.start(execution_id), ttl_ms)

    def announce(self, execution_ids: Sequence[str], started: Collection[str], ttl_ms: int) -> bool:
        """Mark messages that are about to be sent, with the start signals of those started."""
        self._before("announce")
        for execution_id in execution_ids:
            self._mark(keys.message(execution_id), keys.MESSAGE_TTL_MS)
            if execution_id in started:
                self._mark(keys.start(execution_id), ttl_ms)
        return not self.is_away

    def take_start(self, execution_id: str) -> bool:
        """Take the start signal; whether it was there."""
        self._before("take_start")
        return self._unmark(keys.start(execution_id))

    def mark_message(self, execution_id: str) -> bool:
        """Mark that a message is on its way; whether one was already, so none is needed."""
        self._before("mark_message")
        key = keys.message(execution_id)
        with self._changed:
            stood = self._markers.get(key, 0.0) > self._clock()
            if not stood:
                self._mark(key, keys.MESSAGE_TTL_MS)
            return stood and not self.is_away

    def clear_message(self, execution_id: str) -> bool:
        """Clear the marker before looking for what the message is about; whether it stood."""
        self._before("clear_message")
        return self._unmark(keys.message(execution_id))

    def _mark(self, key: str, ttl_ms: int) -> bool:
        with self._changed:
            if not self.is_away:
                self._markers[key] = self._clock() + ttl_ms / 1000
            return not self.is_away

    def _unmark(self, key: str) -> bool:
        with self._changed:
            return not self.is_away and self._markers.pop(key, 0.0) > self._clock()

    # -- commands

    def push_command(self, execution_id: str, command: str) -> bool:
        """Lay a command down for the execution's owner; whether it lies there."""
        self._before("push_command")
        return self._push(keys.commands(execution_id), command)

    def take_commands(self, execution_id: str) -> list[str]:
        """Take the commands that lie there, oldest first."""
        self._before("take_commands")
        with self._changed:
            return [] if self.is_away else list(self._lists.pop(keys.commands(execution_id), ()))

    def wake_worker(self, worker_id: str, execution_id: str) -> bool:
        """Wake a worker process because the execution has commands; whether it was told."""
        self._before("wake_worker")
        return self._push(keys.control(worker_id), execution_id)

    def tell_let_go(self, execution_id: str) -> bool:
        """Say that this process has let an execution go that was stopped; whether that is told."""
        self._before("tell_let_go")
        return self._push(keys.let_go(execution_id), "1")

    def await_let_go(self, execution_id: str, processes: int, within_s: float) -> bool:
        """Wait until so many processes have let an execution go; whether they have."""
        self._before("await_let_go")
        key = keys.let_go(execution_id)
        with self._changed:
            self._changed.wait_for(lambda: len(self._lists.get(key, ())) >= processes, within_s)
            return len(self._lists.pop(key, ())) >= processes

    def _push(self, key: str, value: str) -> bool:
        with self._changed:
            if not self.is_away:
                self._lists.setdefault(key, deque(maxlen=MAX_WAITING)).append(value)
                self._changed.notify_all()
            return not self.is_away

    def await_wake_up(
        self, worker_id: str, timeout_s: float, is_over: Callable[[], bool]
    ) -> str | None:
        """Wait until a worker process is woken; the execution, or None when the time is up."""
        key = keys.control(worker_id)
        with self._changed:
            self._changed.wait_for(lambda: is_over() or bool(self._lists.get(key)), timeout_s)
            waiting = self._lists.get(key)
            return waiting.popleft() if waiting and not is_over() else None


class MemoryReader:
    """Tells the hub who has news in these streams."""

    def __init__(self, streams: MemoryStreams, *, block_s: float = 1.0) -> None:
        self._streams = streams
        self._block_s = block_s
        self._seen = 0

    def read(self, channels: Channels) -> float:
        """Wait for entries and note them."""
        self._seen = self._streams.await_news(self._seen, self._block_s)
        for channel in channels.all():
            if last := self._streams.last_event(channel.execution_id):
                index, envelope = last
                channel.note(index, status_told(envelope))
        return 0.0

    def wake(self) -> None:
        """End the waiting: look again at what is watched."""
        self._streams.nudge()

    def close(self) -> None:
        """It holds nothing."""


class MemoryInbox:
    """The wake-ups of one worker process (app.streams.control.ControlInbox)."""

    def __init__(self, streams: MemoryStreams, worker_id: str, *, block_s: float = 1.0) -> None:
        self._streams = streams
        self._worker_id = worker_id
        self._block_s = block_s
        self._is_closed = False

    def wait(self) -> str | None:
        """Wait up to `block_s`; the id of an execution that has commands, or None."""
        return self._streams.await_wake_up(self._worker_id, self._block_s, lambda: self._is_closed)

    def close(self) -> None:
        """End the waiting."""
        self._is_closed = True
        self._streams.nudge()


def _do_nothing(_name: str) -> None:
    """Nobody comes between."""
