"""Signals and commands: short cuts that save a sweep. PostgreSQL holds what they say.

With Redis away every method returns at once: False, or nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError

from app.streams import keys
from app.streams.client import Truce

#: How long (s) Redis is left alone after a failure.
REST_S = 1.0
#: Commands and wake-ups that nobody takes are kept up to so many.
MAX_WAITING = 1000


class Signals:
    """Start signals, message markers, commands and wake-ups, over one client of Redis.

    `clock` is monotonic, in seconds.
    """

    def __init__(self, client: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._truce = Truce(REST_S, clock)

    def set_start(self, execution_id: str, ttl_ms: int) -> bool:
        """Set the start signal; whether it stands."""
        key = keys.start(execution_id)
        return self._ask(lambda redis: redis.set(key, 1, px=ttl_ms))

    def announce(self, execution_ids: Sequence[str], started: Collection[str], ttl_ms: int) -> bool:
        """Mark messages that are about to be sent, with the start signals of those started."""

        def announce(redis: Redis) -> bool:
            with redis.pipeline(transaction=False) as pipe:
                for execution_id in execution_ids:
                    pipe.set(keys.message(execution_id), 1, px=keys.MESSAGE_TTL_MS)
                    if execution_id in started:
                        pipe.set(keys.start(execution_id), 1, px=ttl_ms)
                pipe.execute()
            return True

        return self._ask(announce)

    def take_start(self, execution_id: str) -> bool:
        """Take the start signal; whether it was there."""
        return self._ask(lambda redis: redis.delete(keys.start(execution_id)))

    def mark_message(self, execution_id: str) -> bool:
        """Mark that a message is on its way; whether one was already, so none is needed."""
        key = keys.message(execution_id)
        return self._ask(lambda redis: not redis.set(key, 1, px=keys.MESSAGE_TTL_MS, nx=True))

    def clear_message(self, execution_id: str) -> bool:
        """Clear the marker before looking for what the message is about; whether it stood."""
        return self._ask(lambda redis: redis.delete(keys.message(execution_id)))

    def push_command(self, execution_id: str, command: str) -> bool:
        """Lay a command down for the execution's owner; whether it lies there."""
        return self._append(keys.commands(execution_id), command)

    def take_commands(self, execution_id: str) -> list[str]:
        """Take the commands that lie there, oldest first."""
        key = keys.commands(execution_id)
        taken: list[bytes] = []

        def take(redis: Redis) -> bool:
            with redis.pipeline(transaction=True) as pipe:
                pipe.lrange(key, 0, -1)
                pipe.delete(key)
                taken.extend(pipe.execute()[0])
            return True

        self._ask(take)
        return [command.decode() for command in taken]

    def wake_worker(self, worker_id: str, execution_id: str) -> bool:
        """Wake a worker process because the execution has commands; whether it was told."""
        return self._append(keys.control(worker_id), execution_id)

    def tell_let_go(self, execution_id: str) -> bool:
        """Say that this process has let an execution go that was stopped; whether that is told."""
        return self._append(keys.let_go(execution_id), "1", keys.LET_GO_TTL_S)

    def await_let_go(self, execution_id: str, processes: int, within_s: float) -> bool:
        """Wait until so many processes have let an execution go; whether they have."""
        until = self._clock() + within_s
        for _ in range(processes):
            left_s = until - self._clock()
            if left_s <= 0 or not self._ask(_pop(keys.let_go(execution_id), left_s)):
                return False
        return True

    def _append(self, key: str, value: str, ttl_s: int = keys.COMMANDS_TTL_S) -> bool:
        def append(redis: Redis) -> bool:
            with redis.pipeline(transaction=False) as pipe:
                _append_bounded(pipe, key, value, ttl_s)
                pipe.execute()
            return True

        return self._ask(append)

    def _ask(self, question: Callable[[Redis], Any]) -> bool:
        if self._truce.holds:
            return False
        try:
            return bool(question(self._client))
        except RedisError:
            self._truce.begin()
            return False


def _pop(key: str, within_s: float) -> Callable[[Redis], Any]:
    return lambda redis: redis.blpop([key], timeout=within_s)


def _append_bounded(pipe: Pipeline, key: str, value: str, ttl_s: int) -> None:
    pipe.rpush(key, value)
    pipe.ltrim(key, -MAX_WAITING, -1)
    pipe.expire(key, ttl_s)
