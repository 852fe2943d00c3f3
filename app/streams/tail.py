"""Reading the tail of a stream from Redis. Whatever is not there, PostgreSQL has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import LifoQueue
from typing import Any, Protocol

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from app.streams import keys
from app.streams.client import Connect, Truce

#: Connections that all readers share; more readers wait for each other.
CONNECTIONS = 16
#: How long (s) connecting, and a read, may take.
TIMEOUT_S = 0.5
#: How long (s) Redis is left alone after a failure; readers use PostgreSQL meanwhile.
REST_S = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch of events in a row: the index of the first, and their envelopes."""

    first_index: int
    envelopes: list[bytes]


class Tail(Protocol):
    """A fast source of recent events, that may lack any of them."""

    def read(self, execution_id: str, from_index: int, limit: int) -> list[Entry]:
        """Read up to `limit` entries of those that begin at or after an index, in order."""
        ...

    def close(self) -> None:
        """Give its connections up; nobody reads any more."""
        ...


class RedisTail:
    """The tails of all streams in Redis; with Redis away there are none.

    On bare connections: each event of each socket is a read, and a client's pool and retries
    would cost more than the read.
    """

    def __init__(self, connect: Connect, clock: Callable[[], float] = time.monotonic) -> None:
        self._truce = Truce(REST_S, clock)
        self._idle: LifoQueue[Any] = LifoQueue()
        for _ in range(CONNECTIONS):
            self._idle.put(connect(name="cg-relay", timeout_s=TIMEOUT_S))

    def read(self, execution_id: str, from_index: int, limit: int) -> list[Entry]:
        """Read up to `limit` entries of those that begin at or after an index, in order."""
        if self._truce.holds:
            return []
        first = keys.entry_id(from_index)
        words = ("XRANGE", keys.events(execution_id), first, "+", "COUNT", limit)
        connection = self._idle.get()
        try:
            reply = _ask(connection, words)
        except RedisError:
            connection.disconnect()
            self._truce.begin()
            return []
        finally:
            self._idle.put(connection)
        return list(_entries(reply))

    def close(self) -> None:
        """Close what no reader is using; nobody reads any more."""
        while not self._idle.empty():
            self._idle.get_nowait().disconnect()


def _ask(connection: Any, words: Sequence[str | int]) -> Any:
    """Ask on a connection; one that Redis closed while it was idle is opened anew."""
    was_open = connection.is_connected
    try:
        connection.send_command(*words)
        return connection.read_response()
    except RedisConnectionError:
        if not was_open:
            raise
        connection.disconnect()
        connection.send_command(*words)
        return connection.read_response()


def _entries(reply: Sequence[tuple[bytes, Sequence[bytes]]]) -> Iterator[Entry]:
    for entry_id, fields in reply:
        try:
            lines = keys.field(fields, keys.EVENT_LINES)
            yield Entry(keys.first_index(entry_id), lines.split(b"\n"))
        except ValueError:
            # Nobody of us wrote it; what should stand there is in PostgreSQL.
            return
