"""Publishing committed events: sent without asking for a reply, dropped where Redis is away.

A batch is one entry, and its id follows from the index of its first event, so Redis itself
refuses what was published before: whoever is in doubt publishes again. What never arrives, the
relay reads from PostgreSQL.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from hiredis import pack_command
from redis.exceptions import RedisError, ResponseError

from app.streams import keys
from app.streams.client import Connect, Truce, single_connection
from app.streams.protocol import Batch

#: The longest (s) that opening the connection, or a full socket, may hold up a run.
TIMEOUT_S = 0.05
#: How long (s) publishes are dropped after a failure before Redis is tried again.
REST_S = 1.0
#: An entry ends before it is larger (bytes): a reader takes whole entries into its memory.
MAX_ENTRY_BYTES = 256 * 1024
#: So often (s) a publish has its replies sent, to notice a Redis that is full or read-only.
#: The others go without: a reply costs both sides as much as the publish itself.
LISTEN_EVERY_S = 5.0
#: How long (s) closing waits until Redis has taken what was sent.
CLOSES_WITHIN_S = 2.0
#: A refusal is logged at most so often (s).
COMPLAINT_EVERY_S = 60.0

#: Writes are of this size (bytes) at most, each bounded by TIMEOUT_S.
_WRITE_BYTES = 64 * 1024

_PUBLISHED_BEFORE = "equal or smaller"

MakeLock = Callable[[], AbstractContextManager[object]]

_log = logging.getLogger(__name__)


def _pack(*words: str | int | bytes) -> bytes:
    packed: bytes = pack_command(words)  # type: ignore[arg-type]  # its stub allows one word
    return packed


def _bulk(word: bytes) -> bytes:
    """A word of a command as RESP has it."""
    return b"$%d\r\n%b\r\n" % (len(word), word)


def _form(ttl_s: int, maxlen: int) -> bytes:
    """An entry and its TTL, to be filled in: the key, its id, how many lines, those, the key.

    Written out, because packing each word costs more than all the rest of a publish.
    """
    count, lines = _bulk(keys.EVENT_COUNT), _bulk(keys.EVENT_LINES)
    cap = _bulk(b"MAXLEN") + _bulk(b"~") + _bulk(b"%d" % maxlen)
    add = b"*10\r\n" + _bulk(b"XADD") + b"%b" + cap + b"%b" + count + b"%b" + lines + b"%b"
    return add + b"*3\r\n" + _bulk(b"EXPIRE") + b"%b" + _bulk(b"%d" % ttl_s)


_REPLIES_ON = _pack("CLIENT", "REPLY", "ON")
_REPLIES_OFF = _pack("CLIENT", "REPLY", "OFF")
_END = b"end"
_ECHO_END = _pack("ECHO", _END)


class EventPublisher:
    """Hands events to Redis. May be made before a fork and used by any thread.

    `clock` is monotonic, in seconds. `lock` and `connect` are for those whose threads, or
    whose Redis, are others.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        ttl_s: int,
        maxlen: int,
        clock: Callable[[], float] = time.monotonic,
        lock: MakeLock = threading.Lock,
        connect: Connect | None = None,
    ) -> None:
        self._connect = connect or partial(single_connection, redis_url)
        self._form = _form(ttl_s, maxlen)
        self._clock = clock
        self._lock = lock
        self._line = self._new_line()

    def publish(self, execution_id: str, first_index: int, envelopes: Sequence[bytes]) -> bool:
        """Publish events that are committed; whether they were handed to Redis."""
        return self.publish_many((Batch(execution_id, first_index, envelopes),))

    def publish_many(self, batches: Iterable[Batch]) -> bool:
        """Publish events of many executions in one go; whether they were handed to Redis."""
        line = self._own_line()
        if line.is_resting:
            return False
        packed: list[bytes] = []
        for batch in batches:
            packed += self._packed(batch)
        return line.send(packed)

    def close(self) -> None:
        """Close the connection, once Redis has taken what was sent."""
        self._own_line().close()

    def _own_line(self) -> _Line:
        # A connection that came through a fork belongs to the parent.
        if self._line.pid != os.getpid():
            self._line = self._new_line()
        return self._line

    def _new_line(self) -> _Line:
        return _Line(self._connect, self._clock, self._lock)

    def _packed(self, batch: Batch) -> Iterator[bytes]:
        key = _bulk(keys.events(batch.execution_id).encode())
        for first_index, lines in _entries(batch):
            at, count = _bulk(keys.entry_id(first_index).encode()), _bulk(b"%d" % len(lines))
            yield self._form % (key, at, count, _bulk(b"\n".join(lines)), key)


def _entries(batch: Batch) -> Iterator[tuple[int, Sequence[bytes]]]:
    """Split a batch into entries of a bounded size."""
    lines = batch.envelopes
    if sum(map(len, lines)) <= MAX_ENTRY_BYTES:
        if lines:
            yield batch.first_index, lines
        return
    begin = size = 0
    for at, line in enumerate(lines):
        if size and size + len(line) > MAX_ENTRY_BYTES:
            yield batch.first_index + begin, lines[begin:at]
            begin, size = at, 0
        size += len(line)
    yield batch.first_index + begin, lines[begin:]


class _Line:
    """One process's connection, on which Redis is silent but for a publish now and then."""

    def __init__(self, connect: Connect, clock: Callable[[], float], lock: MakeLock) -> None:
        self.pid = os.getpid()
        self._clock = clock
        self._connection = connect(name="cg-events", timeout_s=TIMEOUT_S)
        self._lock = lock()
        self._truce = Truce(REST_S, clock)
        self._listen_at = 0.0
        self._complain_at = 0.0

    @property
    def is_resting(self) -> bool:
        """Whether Redis failed a moment ago."""
        return self._truce.holds

    def send(self, packed: Sequence[bytes]) -> bool:
        """Send packed commands; whether they went out."""
        with self._lock:
            self._take_replies()
            try:
                if self._connection.is_connected:
                    self._send_on(packed)
                else:
                    self._connection.connect()
                    self._send_listening(packed)
            except RedisError as error:
                self._connection.disconnect()
                self._truce.begin()
                self._complain(error)
                return False
            return True

    def close(self) -> None:
        """Wait until Redis has taken what was sent, then close."""
        with self._lock:
            if not self._connection.is_connected:
                return
            try:
                self._connection.send_packed_command([_REPLIES_ON, _ECHO_END])
                self._await_end(self._clock() + CLOSES_WITHIN_S)
            except RedisError as error:
                self._complain(error)
            self._connection.disconnect()

    def _await_end(self, deadline: float) -> None:
        """Read up to the echo: what is closed with replies unread, Redis may never look at."""
        while self._clock() < deadline:
            if self._connection.can_read(TIMEOUT_S) and self._take_one() == _END:
                return

    def _send_on(self, packed: Sequence[bytes]) -> None:
        if self._clock() < self._listen_at:
            self._write(packed)
        else:
            self._send_listening([_REPLIES_ON, *packed])

    def _send_listening(self, packed: Sequence[bytes]) -> None:
        self._listen_at = self._clock() + LISTEN_EVERY_S
        self._write([*packed, _REPLIES_OFF])

    def _write(self, packed: Sequence[bytes]) -> None:
        whole = b"".join(packed)
        if len(whole) <= _WRITE_BYTES:
            pieces = [whole]
        else:
            pieces = [whole[at : at + _WRITE_BYTES] for at in range(0, len(whole), _WRITE_BYTES)]
        self._connection.send_packed_command(pieces)

    def _take_replies(self) -> None:
        """Take what has come; a connection that Redis closed is opened anew for the next."""
        try:
            while self._connection.is_connected and self._connection.can_read():
                self._take_one()
        except RedisError:
            self._connection.disconnect()

    def _take_one(self) -> Any:
        try:
            return self._connection.read_response(disconnect_on_error=False)
        except ResponseError as refusal:
            if _PUBLISHED_BEFORE not in str(refusal):
                self._complain(refusal)
            return None

    def _complain(self, error: RedisError) -> None:
        if self._clock() >= self._complain_at:
            self._complain_at = self._clock() + COMPLAINT_EVERY_S
            _log.warning("events are not published live: %s", error)
