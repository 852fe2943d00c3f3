"""What the statements of commands to many executions do, one function each (app.store.bulk)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from app.local.rows import BulkRow, ExecutionRow
from app.local.turn import Handler, Rows, Turn
from app.store import bulk


def record_bulk(
    turn: Turn,
    owner: str,
    action: str,
    statuses: Collection[str] | None,
    flow: str | None,
    ids: Collection[str] | None,
    *_by: object,
) -> Rows:
    """Record a command to those of an owner's executions that pass the filter."""
    matched = [
        row
        for row in turn.tables.executions.values()
        if row.owner_id == owner
        and (statuses is None or row.status in statuses)
        and (flow is None or row.flow_id == flow)
        and (ids is None or row.id in ids)
    ]
    allowed = [row for row in matched if _allows(row, action)]
    for row in sorted(allowed, key=lambda row: (row.created_at, row.id)):
        turn.tables.bulk_commands.append(
            BulkRow(
                id=next(turn.tables.bulk_ids),
                execution_id=row.id,
                action=action,
                recorded_at=turn.at,
            )
        )
    return [(len(matched), len(allowed))]


def take_bulk_commands(turn: Turn, limit: int) -> Rows:
    """Take the oldest commands, of each execution the first alone."""
    first: dict[str, BulkRow] = {}
    for row in turn.tables.bulk_commands:
        first.setdefault(row.execution_id, row)
    taken = list(first.values())[:limit]
    for row in taken:
        turn.tables.bulk_commands.remove(row)
    return [(row.execution_id, row.action) for row in taken]


def _allows(row: ExecutionRow, action: str) -> bool:
    match action:
        case "start":
            return row.status == "created" and row.start_requested_at is None
        case "pause":
            return row.status == "running"
        case "resume":
            return row.status == "paused" or (row.status == "running" and row.requested == "pause")
        case _:
            return row.completed_at is None


HANDLERS: Mapping[str, Handler] = {
    bulk.RECORD.name: record_bulk,
    bulk.RECORD_FLOW.name: record_bulk,
    bulk.RECORD_IDS.name: record_bulk,
    bulk.TAKE.name: take_bulk_commands,
}
