"""Runs tasks one at a time in an order drawn from a seed, on a clock that only it moves.

A task is a greenlet: what is a thread in production. It runs until it asks the world for
something (a statement, a command of Redis, a wait), and only then may another go on. The same
seed gives the same order, so a schedule that fails can be run again.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

#: The longest schedule (steps) that is kept to be shown.
KEPT_TRACE = 4000
#: How often another task is drawn in the place of one of a slow host.
PASSED_OVER = 5
#: Each step takes up to so long (s).
STEP_S = 0.0005

#: What `block` gives where nothing came in time.
TIMEOUT = object()


class Killed(BaseException):
    """The process of this task was killed: nothing that it still does has an effect."""


class Host:
    """What tasks run on: a process that may be frozen or dead, or a server."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frozen = False
        self.dead = False
        self.tasks: dict[Task, None] = {}


class Task:
    """One greenlet; `due` is when its wait is over, `ticket` which wait that is."""

    def __init__(self, host: Host, name: str, body: Callable[[], object]) -> None:
        self.host = host
        self.name = name
        self.body = body
        #: What carries it, from its first step to its end.
        self.greenlet: greenlet | None = None
        self.value: Any = None
        self.ticket = 0
        self.waits = False

    def __str__(self) -> str:
        return f"{self.host.name}/{self.name}"


class Scheduler:
    """The tasks of a world and its clock (seconds)."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.steps = 0
        self.trace: deque[str] = deque(maxlen=KEPT_TRACE)
        #: What tasks died of that nothing in production would have caught.
        self.crashes: list[tuple[Task, BaseException]] = []
        #: A host that others overtake, if there is one.
        self.slow: Host | None = None
        self._hub = getcurrent()
        self._ready: list[Task] = []
        self._timers: list[tuple[float, int, Task, int]] = []
        self._numbers = itertools.count()
        self._current: Task | None = None
        #: Greenlets whose task is over: each has a stack of its own, which costs more to make
        #: than most tasks take.
        self._spare: list[greenlet] = []

    # -- what a task asks for

    @property
    def current(self) -> Task:
        """The task that runs."""
        assert self._current is not None
        return self._current

    def note(self, text: str) -> None:
        """Add a line to the schedule."""
        self.trace.append(f"{self.now:10.4f}  {text}")

    def point(self) -> None:
        """Let others go first, or not."""
        self._refuse_the_dead()
        self._ready.append(self.current)
        self._leave()

    def block(self, timeout: float | None = None) -> Any:
        """Wait for `wake`; gives its value, TIMEOUT after so many seconds."""
        self._refuse_the_dead()
        task = self.current
        task.waits = True
        task.ticket += 1
        if timeout is not None:
            due = self.now + max(0.0, timeout)
            heappush(self._timers, (due, next(self._numbers), task, task.ticket))
        self._leave()
        value, task.value = task.value, None
        return value

    def sleep(self, seconds: float) -> None:
        """Wait on the clock."""
        self.block(seconds)

    def _leave(self) -> None:
        self._hub.switch()
        self._refuse_the_dead()

    def _refuse_the_dead(self) -> None:
        """A killed process runs its `finally` blocks here; nothing in them may have an effect."""
        if self.current.host.dead:
            raise Killed

    # -- what is done to tasks

    def spawn(self, host: Host, name: str, body: Callable[[], object]) -> Task:
        """Have a task run from now on."""
        task = Task(host, name, body)
        host.tasks[task] = None
        self._ready.append(task)
        return task

    def wake(self, task: Task, value: Any = None) -> bool:
        """End a task's wait; False where it waits no more."""
        if not task.waits:
            return False
        task.waits = False
        task.value = value
        self._ready.append(task)
        return True

    def discard(self, task: Task) -> None:
        """Take a task that has not begun out of the world."""
        if task in self._ready:
            self._ready.remove(task)
        task.waits = False
        task.host.tasks.pop(task, None)

    def kill(self, host: Host) -> None:
        """End all tasks of a host at once, without a word to anybody."""
        host.dead = True
        for task in list(host.tasks):
            if task.greenlet is not None and task is not self._current:
                self._unwind(task)
            self.discard(task)
        self._timers = [entry for entry in self._timers if not entry[2].host.dead]
        self._timers.sort()

    def _unwind(self, task: Task) -> None:
        before, self._current = self._current, task
        try:
            assert task.greenlet is not None
            task.greenlet.throw(Killed)
        except (Killed, GreenletExit):
            pass
        finally:
            self._current = before

    # -- driving

    @property
    def is_idle(self) -> bool:
        """Whether nobody can do anything before time passes."""
        return not any(not task.host.frozen for task in self._ready)

    def next_due(self) -> float | None:
        """When the next wait is over that somebody still waits for."""
        while self._timers:
            due, _, task, ticket = self._timers[0]
            if task.waits and task.ticket == ticket:
                return due
            heappop(self._timers)
        return None

    def pass_time(self) -> float:
        """Move the clock to the end of the next wait; gives by how much (s)."""
        due = self.next_due()
        assert due is not None
        _, _, task, _ = heappop(self._timers)
        before, self.now = self.now, max(self.now, due)
        self.wake(task, TIMEOUT)
        return self.now - before

    def step(self) -> None:
        """Let one task that is ready go on until it leaves."""
        ready = self._ready
        at = int(self.random.random() * len(ready))
        for _ in range(PASSED_OVER):
            if ready[at].host is not self.slow:
                break
            at = int(self.random.random() * len(ready))
        while ready[at].host.frozen:
            at = (at + 1) % len(ready)
        task, ready[at] = ready[at], ready[-1]
        ready.pop()
        self.steps += 1
        self.now += self.random.random() * STEP_S
        self._run(task)

    def _run(self, task: Task) -> None:
        if task.greenlet is None:
            task.greenlet = self._spare.pop() if self._spare else greenlet(self._carry, self._hub)
        self._current = task
        try:
            task.greenlet.switch()
        finally:
            self._current = None

    def _carry(self) -> None:
        """Carry one task after another, each from its beginning to its end."""
        carrier = getcurrent()
        while True:
            task = self.current
            self._body(task)
            task.host.tasks.pop(task, None)
            # What one task bound to its context is none of the next one's.
            carrier.gr_context = None
            self._spare.append(carrier)
            self._hub.switch()

    def _body(self, task: Task) -> None:
        try:
            task.body()
        except (Killed, GreenletExit):
            pass
        except Exception as error:  # noqa: BLE001 - it is the finding
            self.crashes.append((task, error))

    def close(self) -> None:
        """End every task, also where the seed ends amid things."""
        hosts = {task.host: None for task in self._ready}
        hosts |= {entry[2].host: None for entry in self._timers}
        for host in hosts:
            self.kill(host)
        while self._spare:
            self._spare.pop().throw()
