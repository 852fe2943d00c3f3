"""Lists of executions, read from the tables of this process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

from app.local.database import MemoryDatabase
from app.local.rows import ExecutionRow, Tables
from app.store.listings import ExecutionFilter, Level, ListingTable, Moment, Root, RootFilter


class MemoryListingTable(ListingTable):
    """What SQLAlchemy asks PostgreSQL is answered here. Rows are copies."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._memory = database

    def page(self, wanted: ExecutionFilter, limit: int) -> Sequence[Any]:
        """The newest rows that pass the filter, at most `limit`."""
        with self._memory.reading() as tables:
            if wanted.root_execution_id not in {None, *tables.executions}:
                return []
            rows = [row for row in tables.executions.values() if _passes(row, wanted)]
            return _newest(rows, wanted.before, limit)

    def roots(self, wanted: RootFilter, limit: int) -> Sequence[Root]:
        """The newest roots of a flow, at most `limit`, with the size of their trees."""
        bound = wanted.created_before
        with self._memory.reading() as tables:
            rows = [
                row
                for row in tables.executions.values()
                if row.flow_id == wanted.flow_id
                and wanted.owner_id in {None, row.owner_id}
                and row.parent_execution_id is None
                and (bound is None or row.created_at < bound)
            ]
            return [_root(tables, row) for row in _newest(rows, wanted.before, limit)]

    def tree(self, execution_id: str, limit: int, after: Level | None) -> Sequence[Any]:
        """An execution and all that descend from it, by depth, then id; at most `limit`."""
        with self._memory.reading() as tables:
            rows = [(row.execution_depth, row.id, row) for row in _members(tables, execution_id)]
            rows.sort(key=lambda member: member[:2])
            later = [row for depth, id_, row in rows if after is None or (depth, id_) > after]
            return [copy(row) for row in later[:limit]]

    def recoveries(self, execution_id: str, limit: int, offset: int) -> Sequence[Any]:
        """The times that an execution was taken from an owner, oldest first."""
        with self._memory.reading() as tables:
            rows = [row for row in tables.recoveries if row.execution_id == execution_id]
            return [copy(row) for row in rows[offset : offset + limit]]


def _passes(row: ExecutionRow, wanted: ExecutionFilter) -> bool:
    pairs = (
        (row.owner_id, wanted.owner_id),
        (row.status, wanted.status),
        (row.flow_id, wanted.flow_id),
        (row.root_execution_id, wanted.root_execution_id),
    )
    return all(value is None or column == value for column, value in pairs)


def _newest(rows: Iterable[ExecutionRow], before: Moment | None, limit: int) -> list[ExecutionRow]:
    places = [((row.created_at, row.id), row) for row in rows]
    older = [place for place in places if before is None or place[0] < before]
    older.sort(key=lambda place: place[0], reverse=True)
    return [copy(row) for _, row in older[:limit]]


def _root(tables: Tables, root: Any) -> Root:
    nested = [
        row.execution_depth
        for row in tables.executions.values()
        if row.root_execution_id == root.id and row.parent_execution_id is not None
    ]
    return Root(root, 1 + max(nested, default=0), 1 + len(nested))


def _members(tables: Tables, execution_id: str) -> list[ExecutionRow]:
    top = tables.executions.get(execution_id)
    members = [] if top is None else [top]
    for member in members:
        members += [
            row for row in tables.executions.values() if row.parent_execution_id == member.id
        ]
    return members
