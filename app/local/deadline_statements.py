"""What the statements of deadlines do, one function each (app.store.deadline_statements)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import orjson

from app.local.rows import ExecutionRow
from app.local.turn import Handler, Rows, Turn, whole_ms
from app.store import deadline_statements as sql


def _alarms(turn: Turn) -> Iterator[tuple[datetime, ExecutionRow]]:
    """What nobody owns and whose time has come, the oldest first."""
    rows = turn.tables.executions.values()
    due = [(row.wake_at, row) for row in rows if row.wake_at and row.wake_at <= turn.at]
    due.sort(key=lambda alarm: alarm[0])
    return ((at, row) for at, row in due if row.completed_at is None)


def unstarted(turn: Turn, limit: int) -> Rows:
    """What nobody started in time."""
    late = [
        (row.id, f"start signal not received within {whole_ms(at - row.created_at)} ms")
        for at, row in _alarms(turn)
        if row.start_requested_at is None
    ]
    return list(late[:limit])


def overdue(turn: Turn, limit: int) -> Rows:
    """Flows whose time is up while nobody owns them."""
    late = [_late(row) for _, row in _alarms(turn) if turn.guards.is_overdue(row, turn.at)]
    return list(late[:limit])


def overrun(turn: Turn, limit: int, grace_ms: int) -> Rows:
    """Flows whose time was up so long ago that their owner can't have looked."""
    owned = [
        row
        for claim in turn.claims()
        if claim.status == "active" and not claim.node_id
        if (row := turn.row(claim.execution_id)) is not None and row.completed_at is None
    ]
    before = turn.after(-grace_ms)
    return [_late(row) for row in owned if turn.guards.is_overdue(row, before)][:limit]


def _late(row: ExecutionRow) -> tuple[str, str]:
    timeout_ms = orjson.loads(row.options)["execution"]["flowTimeoutMs"]
    return row.id, f"flow not done within {timeout_ms} ms"


HANDLERS: Mapping[str, Handler] = {
    sql.UNSTARTED.name: unstarted,
    sql.OVERDUE.name: overdue,
    sql.OVERRUN.name: overrun,
}
