"""What the statements of retention do, one function each (app.store.retention_statements)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from app.local.rows import DeletionRow, ExecutionRow, Tables
from app.local.turn import Handler, Rows, Turn
from app.store import retention_statements as sql

_NEVER = datetime.min.replace(tzinfo=UTC)


def delete_old_roots(
    turn: Turn, after_at: datetime | None, after_id: str, days: int, limit: int
) -> Rows:
    """Delete roots of trees that ended so many days ago."""
    old = turn.at - timedelta(days=days)
    after = (after_at or _NEVER, after_id)
    rows = [row for row in turn.tables.executions.values() if row.created_at < old]
    following = sorted((row.created_at, row.id) for row in rows)
    following = [place for place in following if place > after][:limit]
    gone = looked = members = 0
    for _, execution_id in following:
        if members >= limit:
            break
        looked += 1
        root = turn.tables.executions[execution_id]
        if root.parent_execution_id is not None or not _ended_before(root, old):
            continue
        descendants = _descendants(turn.tables, root.id)
        members += len(descendants)
        if all(_ended_before(row, old) for row in descendants):
            _delete(turn, root.id, has_descendants=bool(descendants))
            gone += 1
    is_over = looked == len(following) < limit
    return [(gone, *((None, None) if is_over else following[looked - 1]))]


def _ended_before(row: ExecutionRow, at: datetime) -> bool:
    return row.completed_at is not None and row.completed_at < at


def _descendants(tables: Tables, root_id: str) -> list[ExecutionRow]:
    return [
        row
        for row in tables.executions.values()
        if row.root_execution_id == root_id and row.parent_execution_id is not None
    ]


def _delete(turn: Turn, execution_id: str, *, has_descendants: bool = False) -> None:
    del turn.tables.executions[execution_id]
    turn.tables.offspring.pop(execution_id, None)
    turn.tables.deletions[execution_id] = DeletionRow(
        execution_id=execution_id, deleted_at=turn.at, has_descendants=has_descendants
    )


def delete_descendants(turn: Turn, roots: int, limit: int) -> Rows:
    """Delete descendants of deleted roots, each after its parent."""
    noted = [row for row in turn.tables.deletions.values() if row.has_descendants]
    taken = sorted(noted, key=lambda row: row.execution_id)[:roots]
    for note in taken:
        descendants = _descendants(turn.tables, note.execution_id)
        note.has_descendants = bool(descendants)
        for row in sorted(descendants, key=lambda row: row.execution_depth)[:limit]:
            _delete(turn, row.id)
            limit -= 1
    return [(len(taken),)]


def purge_deleted(turn: Turn, older_than_ms: int, executions: int, _rows: int) -> Rows:
    """Delete what belonged to deleted executions."""
    tables = turn.tables
    old = [
        row.execution_id
        for row in tables.deletions.values()
        if row.deleted_at < turn.after(-older_than_ms) and not row.has_descendants
    ]
    taken = old[:executions]
    belonging: tuple[dict[str, Any], ...] = (
        tables.event_batches,
        tables.checkpoints,
        tables.resolutions,
        tables.signals,
        tables.claims,
        tables.deletions,
    )
    for execution_id in taken:
        for rows in belonging:
            rows.pop(execution_id, None)
    tables.recoveries[:] = [row for row in tables.recoveries if row.execution_id not in taken]
    return [(len(taken),)]


def forget_audit(_turn: Turn, _days: int, _rows: int) -> Rows:
    """Nothing is noted here."""
    return [(0,)]


HANDLERS: Mapping[str, Handler] = {
    sql.DELETE_ROOTS.name: delete_old_roots,
    sql.DELETE_DESCENDANTS.name: delete_descendants,
    sql.PURGE.name: purge_deleted,
    sql.FORGET_AUDIT.name: forget_audit,
}
