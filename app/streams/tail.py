"""Reading the tail of a stream from Redis. Whatever is not there, PostgreSQL has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from redis import Redis
from redis.exceptions import RedisError

from app.streams import keys
from app.streams.client import Truce

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


class RedisTail:
    """The tails of all streams in Redis; with Redis away there are none."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._truce = Truce(REST_S)

    def read(self, execution_id: str, from_index: int, limit: int) -> list[Entry]:
        """Read up to `limit` entries of those that begin at or after an index, in order."""
        if self._truce.holds:
            return []
        try:
            entries: Any = self._client.xrange(
                keys.events(execution_id), min=keys.entry_id(from_index), count=limit
            )
        except RedisError:
            self._truce.begin()
            return []
        return [_entry(entry_id, fields) for entry_id, fields in entries]


def _entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    return Entry(keys.first_index(entry_id), fields[keys.EVENT_LINES].split(b"\n"))
