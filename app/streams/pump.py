"""A few threads that serve many: whoever was woken, or whose time has come, has a turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from enum import Enum, auto
from heapq import heappop, heappush
from itertools import count
from math import inf

from app.streams.threads import THREADS, Threads

#: Threads for turns that wait for nobody, or for a moment.
QUICK_THREADS = 4
#: Threads for turns that ask PostgreSQL: so many of them at once, however many there are.
SLOW_THREADS = 4

#: What a turn gives that wants the next one at once, after all others.
AT_ONCE = 0.0


class State(Enum):
    """Where something stands that is served by turns."""

    IDLE = auto()
    READY = auto()
    RUNNING = auto()
    #: Running, and woken meanwhile.
    WOKEN = auto()
    OVER = auto()


class Slow:
    """The turn would wait: it is to be had by a thread for such."""


SLOW = Slow()


class Served(ABC):
    """What is served by turns, one at a time."""

    def __init__(self) -> None:
        #: The pump's own, under its lock.
        self.state = State.IDLE
        self.due: float | None = None

    @abstractmethod
    def turn(self, *, slow: bool) -> float | Slow | None:
        """Do a little; when (s, monotonic) the next turn is due, None: when it is woken.

        SLOW, unless `slow`: there is something to be done that takes longer.
        """

    @abstractmethod
    def fail(self) -> None:
        """A turn ended by an error that nobody expects: there is none any more."""


class Pump:
    """Gives turns. Its threads begin with the first that is served."""

    def __init__(self, threads: Threads = THREADS) -> None:
        self._threads = threads
        self._changed = threads.condition()
        self._ready: deque[Served] = deque()
        self._slow_changed = threads.condition()
        self._slow_ready: deque[Served] = deque()
        self._timers: list[tuple[float, int, Served]] = []
        self._numbers = count()
        self._has_begun = False
        self._is_closed = False

    def wake(self, served: Served) -> None:
        """Have it served soon."""
        with self._changed:
            self._wake(served)

    def drop(self, served: Served) -> None:
        """Have it served no more; a turn may be under way."""
        with self._changed:
            served.state = State.OVER

    def begin(self) -> None:
        """Begin the threads, unless they have."""
        with self._changed:
            if self._has_begun or self._is_closed:
                return
            self._has_begun = True
        for _ in range(QUICK_THREADS):
            self._threads.begin("pump", self._serve)
        for _ in range(SLOW_THREADS):
            self._threads.begin("slow pump", self._serve_slowly)

    def close(self) -> None:
        """End the threads, each after the turn that it gives."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        with self._slow_changed:
            self._slow_changed.notify_all()

    def _wake(self, served: Served) -> None:
        if served.state is State.IDLE:
            served.state = State.READY
            self._ready.append(served)
            self._changed.notify()
        elif served.state is State.RUNNING:
            served.state = State.WOKEN

    def _serve(self) -> None:
        while (served := self._take()) is not None:
            self._give_turn(served, slow=False)

    def _serve_slowly(self) -> None:
        while (served := self._take_slow()) is not None:
            self._give_turn(served, slow=True)

    def _give_turn(self, served: Served, *, slow: bool) -> None:
        is_settled = False
        try:
            then = served.turn(slow=slow)
            is_settled = True
        finally:
            if not is_settled:
                self._survive(served, slow=slow)
        if isinstance(then, Slow):
            with self._slow_changed:
                self._slow_ready.append(served)
                self._slow_changed.notify()
        else:
            self._settle(served, then)

    def _survive(self, served: Served, *, slow: bool) -> None:
        """A turn raised, and its thread ends by that, as it should: another takes its place."""
        self.drop(served)
        served.fail()
        if slow:
            self._threads.begin("slow pump", self._serve_slowly)
        else:
            self._threads.begin("pump", self._serve)

    def _take(self) -> Served | None:
        """Wait for the next turn; None when there is none any more."""
        with self._changed:
            while not self._is_closed:
                self._wake_due()
                if self._ready:
                    served = self._ready.popleft()
                    if served.state is State.READY:
                        served.state = State.RUNNING
                        return served
                else:
                    self._await_turn()
            return None

    def _await_turn(self) -> None:
        """Wait until somebody is woken, or the first timer is due."""
        first = self._first_due
        wait_s = None if first == inf else max(0.0, first - self._threads.clock())
        self._changed.wait_for(
            lambda: self._ready or self._is_closed or self._first_due < first, wait_s
        )

    def _take_slow(self) -> Served | None:
        with self._slow_changed:
            self._slow_changed.wait_for(lambda: self._slow_ready or self._is_closed)
            return None if self._is_closed else self._slow_ready.popleft()

    def _settle(self, served: Served, due: float | None) -> None:
        with self._changed:
            was_woken = served.state is State.WOKEN
            if served.state is State.OVER:
                return
            served.state = State.IDLE
            served.due = due
            if was_woken or due == AT_ONCE:
                self._wake(served)
            elif due is not None:
                heappush(self._timers, (due, next(self._numbers), served))
                if self._first_due == due:
                    self._changed.notify()

    @property
    def _first_due(self) -> float:
        return self._timers[0][0] if self._timers else inf

    def _wake_due(self) -> None:
        """Wake whose time has come, and forget timers that were overtaken."""
        while self._timers:
            due, _, served = self._timers[0]
            is_valid = served.due == due and served.state is State.IDLE
            if is_valid and due > self._threads.clock():
                return
            heappop(self._timers)
            if is_valid:
                self._wake(served)
