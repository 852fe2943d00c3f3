"""What the statement that takes an execution from its owner does (app.store.takeovers)."""

from __future__ import annotations

from collections.abc import Mapping

from app.local.rows import ClaimRow, ExecutionRow
from app.local.step_statements import note_recovery
from app.local.turn import Handler, Rows, Turn, built
from app.store import takeovers

_REASON = "requested"


def take_over(turn: Turn, execution: str, by: str, *_by: object) -> Rows:
    """The owner has lost it, and so have those of its sent steps; no crash is counted."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_take_over(row):
        return []
    previous = row.processing_worker_id
    note_recovery(turn, execution, _REASON, by, row.status, previous)
    _free(turn, row)
    owners = {
        claim.worker_id
        for claim in turn.tables.claims.get(execution, {}).values()
        if claim.status == "active" and _expire(turn, row, claim, by)
    }
    told = {"reason": _REASON, "previousWorkerId": previous, "workerId": by}
    batch = turn.tell(row, ["execution:recovered"], f"[{built(told)}]", turn.at_ms)
    owners |= {previous} if previous else set()
    return [(batch.first_index, batch.written_at, list(batch.types), batch.texts, list(owners))]


def _free(turn: Turn, row: ExecutionRow) -> None:
    row.epoch += 1
    row.writes += 1
    row.processing_worker_id = row.processing_started_at = None
    row.updated_at = turn.at_ms
    if row.start_requested_at is not None and row.status != "paused":
        row.runnable_at = row.runnable_at or turn.at
        row.waiting = None
        row.deadline_at = row.wake_at = row.deadline()


def _expire(turn: Turn, row: ExecutionRow, claim: ClaimRow, by: str) -> bool:
    """A claim is lost; whether it was that of a sent step."""
    claim.status = "expired"
    if not claim.node_id:
        return False
    told = {"reason": _REASON, "previousWorkerId": claim.worker_id, "workerId": by}
    claim.result = built(told)
    note_recovery(turn, row.id, _REASON, by, row.status, claim.worker_id)
    return True


HANDLERS: Mapping[str, Handler] = {takeovers.TAKE_OVER.name: take_over}
