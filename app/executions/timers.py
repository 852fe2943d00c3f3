"""What a run waits for by the clock: time limits of its nodes, retries, and sleeps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from heapq import heappop, heappush
from typing import NamedTuple

_NEVER = float("inf")


class Sleep(NamedTuple):
    """A sleep of so many milliseconds, and the output that says how long it was."""

    ms: int
    port: str


class Wait(NamedTuple):
    """When a waiting node goes on: on the run's clock, and in the store's time.

    It completes where it sleeps, and else is tried again.
    """

    due: float
    at: datetime
    node: int
    sleep: Sleep | None = None


class Timers:
    """Times on a monotonic clock, in seconds. What is over is passed over when its time comes."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int]] = []
        self._waits: dict[int, Wait] = {}

    def limit(self, node: int, attempt: int, due: float) -> None:
        """An attempt of a node may take until `due`."""
        heappush(self._heap, (due, node, attempt))

    def wait(self, wait: Wait, attempt: int) -> None:
        """After its `attempt` a node waits."""
        self._waits[wait.node] = wait
        heappush(self._heap, (wait.due, wait.node, attempt))

    def next_due(self) -> float:
        """When the next time comes, infinity for never."""
        return self._heap[0][0] if self._heap else _NEVER

    def soonest_wait(self) -> Wait | None:
        """The wait that ends first."""
        return min(self._waits.values(), default=None)

    def take_wait(self, node: int) -> Wait | None:
        """What a node waits for, if it does; it waits no longer."""
        return self._waits.pop(node, None)

    def fire(self, now: float) -> Iterator[tuple[int, int]]:
        """The (node, attempt) of every time that has come."""
        while self._heap and self._heap[0][0] <= now:
            _, node, attempt = heappop(self._heap)
            yield node, attempt
