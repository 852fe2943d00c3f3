"""What each statement asks before it changes a row: the WHERE of its SQL, a method each.

Tests plant a fault by overriding one.
"""

from __future__ import annotations

from datetime import datetime

from app.local.rows import ClaimRow, ExecutionRow


class Guards:
    """Decides whether a statement may change a row. Knows nothing and keeps nothing."""

    def may_claim(self, row: ExecutionRow) -> bool:
        """An execution may be owned by whoever asks."""
        return row.runnable_at is not None

    def may_write(
        self, row: ExecutionRow, epoch: int, writes: int, known: str | None = None
    ) -> bool:
        """The owner of this epoch may write, if it knows of every write and command before."""
        is_last = self.holds(row, epoch) and row.writes == writes
        return is_last and row.requested == known

    def may_park(self, row: ExecutionRow, epoch: int, writes: int, wake: int) -> bool:
        """The owner may give up until something arrives, if nothing did since it looked."""
        return self.holds(row, epoch) and row.writes == writes and row.wake == wake

    def may_release(self, row: ExecutionRow, epoch: int) -> bool:
        """The owner may give up at once."""
        is_owned = self.holds(row, epoch) and row.status != "paused"
        return is_owned and row.claim_token is not None

    def may_command(self, row: ExecutionRow, status: str, requested: str | None = None) -> bool:
        """A command may be given in this status, with this one requested before."""
        return row.status == status and row.requested == requested

    def may_end(self, row: ExecutionRow) -> bool:
        """The execution may be ended from outside."""
        return row.completed_at is None

    def holds(self, row: ExecutionRow, epoch: int) -> bool:
        """The owner of this epoch is the present one."""
        return row.epoch == epoch and row.completed_at is None

    def may_recover(self, row: ExecutionRow, epoch: int) -> bool:
        """A sweep may take the execution from the owner of this epoch."""
        return self.holds(row, epoch) and row.status != "paused"

    def may_take_over(self, row: ExecutionRow) -> bool:
        """A caller may have an execution taken from its owner."""
        return row.completed_at is None

    def may_renew(self, claim: ClaimRow, worker_id: str, epoch: int) -> bool:
        """A process may prolong its lease."""
        return claim.worker_id == worker_id and self.holds_claim(claim, epoch)

    def holds_claim(self, claim: ClaimRow, epoch: int) -> bool:
        """The claim is active under this epoch: a step's result may be handed in, or taken."""
        return claim.epoch == epoch and claim.status == "active"

    def may_claim_step(self, claim: ClaimRow) -> bool:
        """A sent step may be owned by whoever asks."""
        return claim.status == "released" and claim.result is None

    def may_start(self, row: ExecutionRow) -> bool:
        """The start may be requested."""
        return row.status == "created" and row.start_requested_at is None

    def is_due(self, row: ExecutionRow, at: datetime) -> bool:
        """The execution waits for a time that has come, and not only for its own to be up."""
        if row.wake_at is None or row.start_requested_at is None:
            return False
        is_over = row.deadline_at is not None and row.deadline_at <= at
        return row.completed_at is None and row.wake_at <= at and not is_over

    def is_overdue(self, row: ExecutionRow, at: datetime) -> bool:
        """The flow should have been over by then."""
        deadline = row.deadline()
        return deadline is not None and deadline <= at
