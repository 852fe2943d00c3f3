"""Reading from Redis who has news, for all streams that are watched in a process."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from app.events.log import EventSource, status_told
from app.streams import keys
from app.streams.channels import Channel, Channels
from app.streams.client import BLOCKING_MARGIN_S, Connect, Truce, connect, single_connection
from app.streams.hub import Hub
from app.streams.marking import Watch
from app.streams.tail import RedisTail
from app.streams.threads import THREADS, Threads

#: A read of Redis waits so long (s) for news.
BLOCK_S = 1.0
#: After a failure Redis is tried again so much later (s).
REST_S = 1.0
#: Between two reads at least so long (s), so that many events make one round.
PAUSE_S = 0.002
#: … and so many times as long as the last round took, so that many channels leave the
#: interpreter to their readers.
PAUSE_FACTOR = 3
PAUSE_MAX_S = 0.05
#: Entries of one stream that a read takes at most.
ENTRIES_PER_READ = 64

_XREAD = ("XREAD", "COUNT", ENTRIES_PER_READ, "BLOCK", int(BLOCK_S * 1000), "STREAMS")

#: The wake-up stream of a process that ended is forgotten after so long (s).
WAKE_TTL_S = 60

_log = logging.getLogger(__name__)


def redis_hub(redis_url: str, log: EventSource, watch: Watch | None = None) -> Hub:
    """The hub of a process whose live events come through Redis."""
    client = connect(redis_url, role="relay")
    return hub_over(partial(single_connection, redis_url), client, log, THREADS, watch)


def hub_over(
    connect: Connect,
    client: Redis,
    log: EventSource,
    threads: Threads,
    watch: Watch | None = None,
) -> Hub:
    """The same over what is handed in. `client` is for commands that answer at once."""
    reader = StreamReader(connect, client, threads)
    return Hub(log, RedisTail(connect, threads.clock), reader, threads, watch)


class StreamReader:
    """Reads all watched streams at once, on a connection of its own."""

    def __init__(self, connect: Connect, client: Redis, threads: Threads) -> None:
        self._connection = connect(name="cg-relay-reader", timeout_s=BLOCK_S + BLOCKING_MARGIN_S)
        self._busy = threads.busy
        self._waker = _Waker(client, threads)
        self._woken_at: str | bytes = "0-0"

    def read(self, channels: Channels) -> float:
        """Wait for entries and note them; how long (s) to pause afterwards."""
        self._waker.rearm()
        live = [each for each in channels.all() if _is_worth_reading(each)]
        if not live:
            self._waker.wait(BLOCK_S)
            return 0.0
        try:
            return self._read(live)
        except RedisError:
            self._connection.disconnect()
            return REST_S

    def _read(self, channels: list[Channel]) -> float:
        began = self._busy()
        by_key = {keys.events(each.execution_id).encode(): each for each in channels}
        positions = [keys.entry_id(each.known) for each in channels]
        for key, entries in self._news([*by_key, self._waker.key], [*positions, self._woken_at]):
            if key in by_key:
                _note(by_key[key], entries)
            else:
                self._woken_at = entries[-1][0]
        spent = self._busy() - began
        return min(max(PAUSE_S, spent * PAUSE_FACTOR), PAUSE_MAX_S)

    def _news(self, names: Sequence[bytes], positions: Sequence[str | bytes]) -> Any:
        self._connection.send_command(*_XREAD, *names, *positions)
        return self._connection.read_response() or ()

    def wake(self) -> None:
        """End the waiting: look again at what is watched."""
        self._waker.wake()

    def close(self) -> None:
        """Close both connections; nobody reads any more."""
        self._connection.disconnect()
        self._waker.close()


class _Waker:
    """Wakes the reader: by an event while it watches nothing, through Redis while it reads."""

    def __init__(self, client: Redis, threads: Threads) -> None:
        self.key = keys.wake(secrets.token_hex(8)).encode()
        self._client = client
        self._truce = Truce(REST_S, threads.clock)
        self._event = threads.flag()
        self._is_awake = False

    def rearm(self) -> None:
        """The reader is about to look at what is watched: who comes later wakes it anew."""
        self._is_awake = False

    def wait(self, timeout_s: float) -> None:
        """Wait until woken."""
        self._event.wait(timeout_s)
        self._event.clear()

    def wake(self) -> None:
        """Wake the reader. With Redis away it finds out by itself, at its next round."""
        self._event.set()
        if self._is_awake or self._truce.holds:
            return
        self._is_awake = True
        try:
            with self._client.pipeline(transaction=False) as pipe:
                pipe.xadd(self.key, {b"w": b"1"}, maxlen=1, approximate=False)
                pipe.expire(self.key, WAKE_TTL_S)
                pipe.execute()
        except RedisError:
            self._truce.begin()

    def close(self) -> None:
        """Close what it wakes the reader over."""
        self._client.close()


def _is_worth_reading(channel: Channel) -> bool:
    return channel.final_status is None and not channel.is_foreign


def _note(channel: Channel, entries: Sequence[tuple[bytes, Sequence[bytes]]]) -> None:
    entry_id, fields = entries[-1]
    try:
        count = int(keys.field(fields, keys.EVENT_COUNT))
        lines = keys.field(fields, keys.EVENT_LINES)
        status = status_told(lines[lines.rfind(b"\n") + 1 :])
        channel.note(keys.first_index(entry_id) + count - 1, status)
    except (ValueError, IndexError):
        _log.warning("%s holds a foreign entry", keys.events(channel.execution_id))
        channel.is_foreign = True
