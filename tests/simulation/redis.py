"""A Redis of the world: as much of it as the house uses, and no more lasting than the real one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self

from redis.exceptions import ConnectionError as RedisConnectionError

from app.streams.keys import DROPPED, DROPPED_TTL_MS
from tests.simulation.scheduler import TIMEOUT, Scheduler, Task
from tests.simulation.streams import Streams


class SimRedis:
    """Server and client in one: every command is one step, and may find nobody there."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.is_up = True
        #: Connections of an earlier life are broken.
        self.life = 1
        self.streams = Streams(scheduler)
        self._values: dict[str, tuple[Any, float]] = {}
        self.lists: dict[str, deque[Any]] = {}
        self._waiting: dict[str, deque[tuple[Task, int]]] = {}

    # -- what faults do

    def empty(self) -> None:
        """Start anew, with nothing."""
        self._values.clear()
        self.lists.clear()
        self.streams.clear()

    # -- commands

    def ping(self) -> bool:
        self.arrive()
        return True

    def set(self, key: str, value: Any, *, px: int, nx: bool = False) -> bool | None:
        self.arrive()
        if nx and self._lives(key):
            return None
        self._values[key] = (value, self._scheduler.now + px / 1000)
        return True

    def delete(self, *keys: str) -> int:
        self.arrive()
        return sum(self._delete(key) for key in keys)

    def rpush(self, key: str, *values: Any) -> int:
        self.arrive()
        return self._push(key, values)

    def rpush_within(self, most: int | None, key: str, *values: Any) -> int:
        """Push, or, where the list is so long already, note that, as one step."""
        self.arrive()
        if most is not None and len(self.lists.get(key, ())) >= most:
            self._values[DROPPED] = (1, self._scheduler.now + DROPPED_TTL_MS / 1000)
            return 0
        return self._push(key, values)

    def llen(self, key: str) -> int:
        self.arrive()
        return len(self.lists.get(key, ()))

    def lrange(self, key: str, first: int, last: int) -> list[bytes]:
        self.arrive()
        assert (first, last) == (0, -1)
        return [_bytes(value) for value in self.lists.get(key, ())]

    def ltrim(self, key: str, first: int, last: int) -> None:
        self.arrive()

    def expire(self, key: str, seconds: int) -> None:
        """Lists live until they are taken or Redis is emptied: the longest that may be."""

    pexpire = expire

    def xadd(
        self, key: bytes, fields: dict[bytes, bytes], *, maxlen: int, approximate: bool
    ) -> bytes:
        self.arrive()
        assert not approximate
        flat = [word for pair in fields.items() for word in pair]
        return self.streams.add(key, None, flat, maxlen)

    def blpop(self, keys: Sequence[str], timeout: float | None = None) -> Any:
        """Take the first value of a list, or wait for one; None after so many seconds."""
        self.arrive()
        for key in keys:
            if found := self.lists.get(key):
                return key.encode(), _bytes(found.popleft())
        task = self._scheduler.current
        for key in keys:
            self._waiting.setdefault(key, deque()).append((task, task.ticket + 1))
        handed = self._scheduler.block(timeout)
        if handed is TIMEOUT:
            return None
        if handed is None:
            raise RedisConnectionError("gone")
        key, value = handed
        return key.encode(), _bytes(value)

    def pipeline(self, *, transaction: bool = True) -> _Pipeline:
        return _Pipeline(self, self._scheduler, transaction)

    # -- how

    def hang_up(self) -> None:
        """Whoever waits for a value finds the connection broken, and others when they ask."""
        self.life += 1
        self.streams.hang_up()
        for waiting in self._waiting.values():
            for task, ticket in waiting:
                if task.ticket == ticket:
                    self._scheduler.wake(task, None)
        self._waiting.clear()

    def arrive(self) -> None:
        self._scheduler.point()
        if not self.is_up:
            raise RedisConnectionError("nobody listens")

    def _lives(self, key: str) -> bool:
        found = self._values.get(key)
        return found is not None and found[1] > self._scheduler.now

    def _delete(self, key: str) -> bool:
        lived = self._lives(key) or bool(self.lists.get(key))
        self._values.pop(key, None)
        self.lists.pop(key, None)
        return lived

    def _push(self, key: str, values: Sequence[Any]) -> int:
        lying = self.lists.setdefault(key, deque())
        for value in values:
            if not self._hand_over(key, value):
                lying.append(value)
        return len(lying)

    def _hand_over(self, key: str, value: Any) -> bool:
        """Serve who waits at once, as Redis does."""
        waiting = self._waiting.get(key)
        while waiting:
            task, ticket = waiting.popleft()
            if task.ticket == ticket and self._scheduler.wake(task, (key, value)):
                return True
        return False


class _Pipeline:
    """Commands that are sent together; others' may come between them."""

    def __init__(self, redis: SimRedis, scheduler: Scheduler, transaction: bool) -> None:
        self._redis = redis
        self._scheduler = scheduler
        self._calls: list[Callable[[], Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.clear()

    def __getattr__(self, name: str) -> Callable[..., None]:
        command = getattr(self._redis, name)

        def queue(*args: Any, **options: Any) -> None:
            self._calls.append(lambda: command(*args, **options))

        return queue

    def execute(self) -> list[Any]:
        return [call() for call in self._calls]


def _bytes(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value
