"""What a run needs of a store. PostgreSQL is one; what replaces it must pass the same tests."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from app.store.records import (
    Boundary,
    Claimed,
    Fence,
    Parked,
    StoredCheckpoint,
    Void,
    Woken,
    Written,
)


class RunStore(Protocol):
    """The statements of a process that runs executions. Every method may raise StoreUnavailable.

    After that the outcome is open; `settle_unknown` tells it.
    """

    def claim(
        self, worker_id: str, token: str, lease_ms: int, execution_id: str | None = None
    ) -> Claimed | None:
        """Own the named execution, or the next of the backlog; None if there is none to own."""
        ...

    def find_claim(self, worker_id: str, token: str) -> Claimed | None:
        """The execution that the claim with this token took, if it did."""
        ...

    def write(self, fence: Fence, writes: int, boundary: Boundary) -> Written | Void:
        """Write a node boundary, if the fence holds and `writes` is the count so far."""
        ...

    def settle_unknown(self, fence: Fence, writes: int, boundary: Boundary) -> Written | Void:
        """Find out whether a write whose reply was lost was done, and do it if not."""
        ...

    def park(
        self, fence: Fence, writes: int, wake: int, waiting: str, wake_at: datetime | None
    ) -> Parked | Woken | Void:
        """Give the execution up until something arrives or `wake_at`, unless `wake` moved on."""
        ...

    def release(self, fence: Fence) -> None:
        """Give the execution up at once, for another to go on with."""
        ...

    def holds(self, fence: Fence) -> bool:
        """Whether the fence still holds."""
        ...

    def checkpoints(self, execution_id: str) -> list[StoredCheckpoint]:
        """The checkpoints in the order of writing."""
        ...

    def document(self, flow_id: str, version: int) -> str:
        """The document of a flow version, as JSON text."""
        ...

    def now(self) -> datetime:
        """The store's time, which all leases and timers are made of."""
        ...
