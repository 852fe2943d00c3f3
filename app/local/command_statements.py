"""What the statements of commands do, one function each (app.store.command_statements).

Who gives a command is noted nowhere: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.local.commanded_statements import hold_deadline, waiting_from
from app.local.family_statements import children_of
from app.local.rows import ExecutionRow
from app.local.run_statements import leave_untold
from app.local.step_statements import granted
from app.local.turn import Handler, Rows, Turn, built, whole_ms
from app.store import audit
from app.store import command_statements as sql
from app.store import ending_statements as endings


def _is_free(turn: Turn, row: ExecutionRow) -> bool:
    """Nobody writes for the execution, and no node of it runs."""
    grants = granted(row)
    has_steps = any(node in grants for node in turn.tables.claims.get(row.id, {}))
    return row.processing_worker_id is None and not has_steps


def _tell(turn: Turn, row: ExecutionRow, *events: tuple[str, dict[str, Any]]) -> tuple[Any, ...]:
    types = [type_ for type_, _ in events]
    data = f"[{','.join(built(each) for _, each in events)}]"
    batch = turn.tell(row, types, data, turn.at_ms)
    return batch.first_index, batch.written_at, types, list(batch.texts)


def request_pause(turn: Turn, execution: str, reason: str, *_by: object) -> Rows:
    """Request a pause of the owner."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_command(row, "running") or _is_free(turn, row):
        return []
    row.requested, row.requested_reason = "pause", reason
    row.requested_seq += 1
    row.wake += 1
    return [(row.processing_worker_id,)]


def pause(turn: Turn, execution: str, reason: str, *_by: object) -> Rows:
    """Pause what nobody owns."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_command(row, "running") or not _is_free(turn, row):
        return []
    row.status = "paused"
    row.epoch += 1
    row.writes += 1
    row.requested_seq += 1
    row.runnable_at = row.wake_at = None
    hold_deadline(row, turn.at)
    row.waiting = waiting_from(turn.at_ms, "resume", {})
    row.updated_at = turn.at_ms
    return [_tell(turn, row, ("flow:paused", {"reason": reason}))]


def withdraw_pause(turn: Turn, execution: str, *_by: object) -> Rows:
    """Withdraw a pause that is not effective yet."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_command(row, "running", "pause"):
        return []
    row.requested = row.requested_reason = None
    row.requested_seq += 1
    row.wake += 1
    if row.processing_worker_id is None:
        row.runnable_at = row.runnable_at or turn.at
    return [(row.processing_worker_id,)]


def resume(turn: Turn, execution: str, *_by: object) -> Rows:
    """Have a paused execution go on."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_command(row, "paused"):
        return []
    return _go_on(turn, row, None)


def request_step(turn: Turn, execution: str, writes: int, *_by: object) -> Rows:
    """Have it run one node, if nothing was written since its readiness was read."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_command(row, "paused") or row.writes != writes:
        return []
    return _go_on(turn, row, "step")


def _go_on(turn: Turn, row: ExecutionRow, requested: str | None) -> Rows:
    row.status, row.requested, row.waiting = "running", requested, None
    row.epoch += 1
    row.writes += 1
    row.wake += 1
    row.requested_seq += 1
    row.runnable_at, row.updated_at = turn.at, turn.at_ms
    if row.deadline_left_ms is not None:
        row.deadline_at = row.wake_at = turn.after(row.deadline_left_ms)
    row.deadline_left_ms = None
    return [_tell(turn, row, ("flow:resumed", {}))]


def standing(turn: Turn, execution: str) -> Rows:
    """Its status, and what is requested of its owner."""
    row = turn.row(execution)
    return [] if row is None else [(row.status, row.requested)]


def note_stop(_turn: Turn, _execution: str, *_by: object) -> Rows:
    """Who stopped it: nothing is noted here."""
    return []


def lock_executions(turn: Turn, ids: Sequence[str]) -> Rows:
    """Which of these are not final; a step here is alone."""
    return _unfinished(turn, [row for id_ in ids if (row := turn.row(id_)) is not None])


def lock_children(turn: Turn, parents: Sequence[str]) -> Rows:
    """The same for their children."""
    return _unfinished(turn, children_of(turn, parents))


def _unfinished(turn: Turn, rows: Sequence[ExecutionRow]) -> Rows:
    return sorted((row.id,) for row in rows if turn.guards.may_end(row))


def end_executions(
    turn: Turn, ids: Sequence[str], status: str, message: str, error_type: str | None
) -> Rows:
    """End these, as far as they are not final."""
    rows = [turn.row(id_) for id_ in sorted(ids)]
    unfinished = [row for row in rows if row is not None and turn.guards.may_end(row)]
    return [_end_one(turn, row, status, message, error_type) for row in unfinished]


def _end_one(
    turn: Turn, row: ExecutionRow, status: str, message: str, error_type: str | None
) -> tuple[Any, ...]:
    row.epoch += 1
    row.writes += 1
    row.status, row.error_message = status, message
    row.completed_at = row.updated_at = turn.at_ms
    leave_untold(row)
    row.requested = row.requested_reason = row.waiting = row.runnable_at = row.wake_at = None
    turn.release_claim(row.id)
    owners = turn.drop_steps(row.id)
    if row.processing_worker_id is not None:
        owners.append(row.processing_worker_id)
    ms = max(0, whole_ms(row.updated_at - row.started_at)) if row.started_at else 0
    first, at, types, data = _tell(turn, row, *_last_events(status, message, error_type, ms))
    return row.id, first, at, types, data, owners


def _last_events(
    status: str, message: str, error_type: str | None, ms: int
) -> tuple[tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]:
    if status == "stopped":
        data = {"executionTimeMs": ms, "reason": message}
        return ("flow:cancelled", data), ("execution:stopped", data)
    error = {"type": error_type, "message": message}
    ended = {"executionTimeMs": ms, "errorMessage": message, "errorNodeId": None}
    return (
        ("flow:failed", {"executionTimeMs": ms, "error": error}),
        ("execution:failed", ended),
    )


HANDLERS: Mapping[str, Handler] = {
    sql.REQUEST_PAUSE.name: request_pause,
    sql.PAUSE.name: pause,
    sql.WITHDRAW_PAUSE.name: withdraw_pause,
    sql.RESUME.name: resume,
    sql.REQUEST_STEP.name: request_step,
    sql.STANDING.name: standing,
    audit.NOTE_STOP.name: note_stop,
    endings.END.name: end_executions,
    endings.LOCK.name: lock_executions,
    endings.LOCK_CHILDREN.name: lock_children,
}
