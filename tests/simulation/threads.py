"""What the tasks of a process meet by: in production, things of `threading` and `queue`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import Any

from app.streams.threads import Threads
from tests.simulation.scheduler import TIMEOUT, Scheduler, Task


def threads_of(scheduler: Scheduler) -> Threads:
    """The threads of whichever process asks, in the world's time."""

    def begin(name: str, body: Callable[[], object]) -> SimThread:
        return SimThread(scheduler, name, body)

    return Threads(
        begin=begin,
        condition=lambda: SimCondition(scheduler),
        flag=lambda: SimFlag(scheduler),
        clock=lambda: scheduler.now,
        busy=lambda: 0.0,
    )


class SimThread:
    """A `threading.Thread` of the world: a task of the process that begins it."""

    def __init__(self, scheduler: Scheduler, name: str, body: Callable[[], object]) -> None:
        self._is_over = SimFlag(scheduler)
        self._body = body
        scheduler.spawn(scheduler.current.host, name, self._run)

    def _run(self) -> None:
        self._body()
        self._is_over.set()

    def join(self, timeout: float | None = None) -> None:
        self._is_over.wait(timeout)


class SimFlag:
    """A `threading.Event` of the world."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: dict[Task, None] = {}
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        for task in self._waiting:
            self._scheduler.wake(task)
        self._waiting.clear()

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            task = self._scheduler.current
            self._waiting[task] = None
            self._scheduler.block(timeout)
            self._waiting.pop(task, None)
        return self._is_set


class SimMailbox:
    """A `queue.SimpleQueue` of the world; for one reader."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._items: deque[Any] = deque()
        self._reader: Task | None = None

    def put(self, item: Any) -> None:
        self._items.append(item)
        if self._reader is not None:
            self._scheduler.wake(self._reader)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not self._items and block:
            self._reader = self._scheduler.current
            self._scheduler.block(timeout)
            self._reader = None
        if not self._items:
            raise Empty
        return self._items.popleft()

    def qsize(self) -> int:
        return len(self._items)


class SimCondition:
    """A `threading.Condition` of the world. Who enters may be overtaken first; nobody else
    comes in between, as long as nothing inside gives way but `wait_for`.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: dict[Task, None] = {}

    def __enter__(self) -> None:
        self._scheduler.point()

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def wait_for(self, predicate: Callable[[], object], timeout: float | None = None) -> object:
        until = None if timeout is None else self._scheduler.now + timeout
        task = self._scheduler.current
        while not predicate():
            left_s = None if until is None else until - self._scheduler.now
            self._waiting[task] = None
            came = self._scheduler.block(left_s)
            self._waiting.pop(task, None)
            if came is TIMEOUT:
                return predicate()
        return True

    def notify(self) -> None:
        # Who waits may always be woken for nothing.
        self.notify_all()

    def notify_all(self) -> None:
        for task in self._waiting:
            self._scheduler.wake(task)
        self._waiting.clear()


class SimLock:
    """A `threading.Lock` of the world: the one kind that is held while others go on."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._condition = SimCondition(scheduler)
        self._is_held = False

    def __enter__(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not self._is_held)
            self._is_held = True

    def __exit__(self, *_: object) -> None:
        self._is_held = False
        self._condition.notify_all()
