"""What the statements of retention do, one function each (app.store.retention_statements)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from app.local.rows import DeletionRow, ExecutionRow, Tables
from app.local.turn import Handler, Rows, Turn
from app.store import retention_statements as sql

_NEVER = datetime.min.replace(tzinfo=UTC)


def delete_old_trees(
    turn: Turn, after_at: datetime | None, after_id: str, days: int, limit: int
) -> Rows:
    """Delete whole trees that ended so many days ago."""
    old = turn.at - timedelta(days=days)
    after = (after_at or _NEVER, after_id)
    rows = [row for row in turn.tables.executions.values() if row.created_at < old]
    following = sorted((row.created_at, row.id) for row in rows)
    looked = [place for place in following if place > after][:limit]
    gone = 0
    for _, execution_id in looked:
        tree = _tree(turn.tables, execution_id)
        if all(row.completed_at is not None and row.completed_at < old for row in tree):
            for row in tree:
                del turn.tables.executions[row.id]
                turn.tables.offspring.pop(row.id, None)
                turn.tables.deletions[row.id] = DeletionRow(execution_id=row.id, deleted_at=turn.at)
            gone += len(tree)
    return [(gone, len(looked), *(looked[-1] if looked else (None, None)))]


def _tree(tables: Tables, execution_id: str) -> list[ExecutionRow]:
    """A root and all its descendants; nothing where it is no root, or there no more."""
    row = tables.executions.get(execution_id)
    if row is None or row.parent_execution_id is not None:
        return []
    return [each for each in tables.executions.values() if each.root_execution_id == row.id]


def purge_deleted(turn: Turn, older_than_ms: int, executions: int, _rows: int) -> Rows:
    """Delete what belonged to deleted executions."""
    tables = turn.tables
    old = [
        row.execution_id
        for row in tables.deletions.values()
        if row.deleted_at < turn.after(-older_than_ms)
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


HANDLERS: Mapping[str, Handler] = {
    sql.DELETE_TREES.name: delete_old_trees,
    sql.PURGE.name: purge_deleted,
}
