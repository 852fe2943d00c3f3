"""What a run waits for by the clock: time limits of its nodes, and retries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from heapq import heappop, heappush
from typing import NamedTuple

_NEVER = float("inf")


class Retry(NamedTuple):
    """When a waiting node is tried again: on the run's clock, and in the store's time."""

    due: float
    at: datetime
    node: int


class Timers:
    """Times on a monotonic clock, in seconds. What is over is passed over when its time comes."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int]] = []
        self._retries: dict[int, Retry] = {}

    def limit(self, node: int, attempt: int, due: float) -> None:
        """An attempt of a node may take until `due`."""
        heappush(self._heap, (due, node, attempt))

    def retry(self, node: int, attempt: int, due: float, at: datetime) -> None:
        """After its failed `attempt` a node is tried again at `due`, which is `at`."""
        self._retries[node] = Retry(due, at, node)
        heappush(self._heap, (due, node, attempt))

    def next_due(self) -> float:
        """When the next time comes, infinity for never."""
        return self._heap[0][0] if self._heap else _NEVER

    def soonest_retry(self) -> Retry | None:
        """The retry that comes first."""
        return min(self._retries.values(), default=None)

    def take_retry(self, node: int) -> bool:
        """Whether a node waits for a retry; it waits no longer."""
        return self._retries.pop(node, None) is not None

    def fire(self, now: float) -> Iterator[tuple[int, int]]:
        """The (node, attempt) of every time that has come."""
        while self._heap and self._heap[0][0] <= now:
            _, node, attempt = heappop(self._heap)
            yield node, attempt
