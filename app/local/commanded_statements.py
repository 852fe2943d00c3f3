"""What boundaries beside the plain ones do (app.store.commanded_statements)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.events.wire import timestamp
from app.local.rows import ExecutionRow, ResolutionRow
from app.local.run_statements import leave_untold, put_boundary
from app.local.turn import Handler, Rows, Turn, built, whole_ms
from app.store import commanded_statements as sql


def write_commanded(turn: Turn, execution: str, epoch: int, writes: int, *what: Any) -> Rows:
    """A boundary of a run that knows of a command, or that pauses."""
    *boundary, known, status, error_message, error_node_id, waits_for, breakpoint_ = what
    row = turn.row(execution)
    if row is None or not turn.guards.may_write(row, epoch, writes, known):
        return []
    written = put_boundary(turn, row, *boundary)
    [(_, at, _)] = written
    row.status, row.error_message, row.error_node_id = status, error_message, error_node_id
    if status == "running":
        return written
    row.requested = row.requested_reason = None
    turn.release_claim(execution)
    turn.drop_steps(execution)
    if status != "paused":
        row.completed_at = at
        leave_untold(row)
        return written
    row.epoch += 1
    hold_deadline(row, at)
    row.processing_worker_id = row.processing_started_at = None
    detail = {} if breakpoint_ is None else {"nodeId": breakpoint_}
    row.waiting = waiting_from(at, waits_for, detail)
    if breakpoint_ is not None:
        row.breakpoints_hit = [*(row.breakpoints_hit or ()), breakpoint_]
    return written


def write_resolving(turn: Turn, execution: str, *what: Any) -> Rows:
    """A boundary of whatever kind at which running nodes have resolved outputs."""
    *commanded, nodes, numbers, outputs = what
    written = write_commanded(turn, execution, *commanded)
    if written:
        rows = turn.tables.resolutions.setdefault(execution, [])
        for node, seq, text in zip(nodes, numbers, outputs, strict=True):
            rows.append(ResolutionRow(execution_id=execution, seq=seq, node_id=node, outputs=text))
    return written


def hold_deadline(row: ExecutionRow, at: datetime) -> None:
    """A pause begins: what is left of the flow's time is kept."""
    deadline = row.deadline()
    left = whole_ms(deadline - at) if deadline else None
    row.deadline_left_ms = None if left is None else max(0, left)
    row.deadline_at = None


def waiting_from(at: datetime, what: str, detail: Mapping[str, str]) -> str:
    """Why nothing moves from a time on."""
    return built({"for": what, "since": timestamp(at), "until": None, "detail": detail})


HANDLERS: Mapping[str, Handler] = {
    sql.COMMANDED.name: write_commanded,
    sql.RESOLVING.name: write_resolving,
}
