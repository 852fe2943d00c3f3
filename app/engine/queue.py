"""The nodes that may start, in the order of starting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from app.engine.state import NodeStatus


class StartQueue:
    """Interrupted nodes first, which held their places before; then the ready in document order.

    A ready node that was settled otherwise meanwhile, as `status` tells, is passed over. One that
    `is_held` stands aside until `release`.
    """

    def __init__(
        self, status: Sequence[NodeStatus], is_held: Callable[[int], bool] | None = None
    ) -> None:
        self._status = status
        self._is_held = is_held
        self._ready: list[int] = []
        self._interrupted: list[int] = []
        self._held: list[tuple[int, bool]] = []

    def add(self, node: int, *, interrupted: bool = False) -> None:
        """Queue a node."""
        heappush(self._interrupted if interrupted else self._ready, node)

    def first(self) -> int | None:
        """The node that is to start next."""
        for heap in (self._interrupted, self._ready):
            while heap:
                node = heap[0]
                if self._status[node] is not NodeStatus.INITIALIZED:
                    heappop(heap)
                elif self._is_held is not None and self._is_held(node):
                    self._held.append((heappop(heap), heap is self._interrupted))
                else:
                    return node
        return None

    def release(self) -> None:
        """Queue those anew that stood aside: what held them may have changed."""
        if not self._held:
            return
        held, self._held = self._held, []
        for node, was_interrupted in held:
            self.add(node, interrupted=was_interrupted)

    def take_first(self) -> tuple[int, bool]:
        """Take what `first` gives, with whether it was interrupted."""
        if self._interrupted:
            return heappop(self._interrupted), True
        return heappop(self._ready), False

    @property
    def ready(self) -> list[int]:
        """The ready nodes in document order."""
        return sorted(self._ready)

    @property
    def interrupted(self) -> Sequence[int]:
        """The interrupted nodes."""
        aside = [node for node, was_interrupted in self._held if was_interrupted]
        return [*self._interrupted, *aside]
