"""The nodes that may start, in the order of starting."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from app.engine.state import NodeStatus


class StartQueue:
    """Interrupted nodes first, which held their places before; then the ready in document order.

    A ready node that was settled otherwise meanwhile, as `status` tells, is passed over.
    """

    def __init__(self, status: Sequence[NodeStatus]) -> None:
        self._status = status
        self._ready: list[int] = []
        self._interrupted: list[int] = []

    def add(self, node: int, *, interrupted: bool = False) -> None:
        """Queue a node."""
        heappush(self._interrupted if interrupted else self._ready, node)

    def first(self) -> int | None:
        """The node that is to start next."""
        if self._interrupted:
            return self._interrupted[0]
        ready, status = self._ready, self._status
        while ready and status[ready[0]] is not NodeStatus.INITIALIZED:
            heappop(ready)
        return ready[0] if ready else None

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
        return self._interrupted
