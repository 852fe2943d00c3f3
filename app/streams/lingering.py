"""Work for processes that are awake: cheaper than a message, and as little to be relied on.

A worker process that finds no backlog lingers a moment before it gives its slot back. Work is
offered to whoever lingers; what nobody took is taken back and sent as a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import RedisError

from app.streams import keys
from app.streams.client import Truce, connect_blocking

#: How long (s) Redis is left alone after a failure.
REST_S = 1.0


class Offered(NamedTuple):
    """What came of an offer: what nobody took, and how many messages the queue holds."""

    left: Sequence[str]
    queued: int


def offer(client: Redis, execution_ids: Sequence[str], queue: str, most: int) -> Offered:
    """Offer executions to processes that linger; `queue` is the broker's list of messages, which
    is to hold `most`.

    Redis serves who waits between the commands of a pipeline, so what is still there after
    the push is there because nobody lingers. Where the queue has no room for that, whoever takes
    a message from there is told to look. Raises RedisError.
    """
    with client.pipeline(transaction=False) as pipe:
        if execution_ids:
            pipe.rpush(keys.WORK, *execution_ids)
            pipe.pexpire(keys.WORK, keys.WORK_TTL_MS)
        pipe.llen(keys.WORK)
        pipe.llen(queue)
        *_, lying, queued = pipe.execute()
    left = min(int(lying), len(execution_ids))
    if left:
        with client.pipeline(transaction=False) as pipe:
            pipe.delete(keys.WORK)
            if int(queued) + left > most:
                pipe.set(keys.DROPPED, 1, px=keys.DROPPED_TTL_MS)
            # Asked behind the note: who emptied the queue before that has not seen it.
            pipe.llen(queue)
            *_, queued = pipe.execute()
    return Offered(execution_ids[len(execution_ids) - left :], int(queued))


class Lingerer:
    """Waits for offered work, in one thread."""

    def __init__(self, redis_url: str, wait_s: float) -> None:
        self._wait_s = wait_s
        self._client = connect_blocking(redis_url, role="worker", block_s=wait_s)
        self._truce = Truce(REST_S)

    def wait(self) -> str | None:
        """Wait for an execution; None if none came, or Redis is away."""
        if self._truce.holds:
            return None
        try:
            taken: Any = self._client.blpop([keys.WORK], timeout=self._wait_s)
        except RedisError:
            self._truce.begin()
            return None
        return taken[1].decode() if taken else None
