"""Lists of executions as the API shows them: the newest, a flow's roots, a tree, recoveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, and_, func, or_, select, true, tuple_

from app.store.database import Database
from app.store.tables import executions, recoveries

#: (created_at, id) of the last one seen in a list that is newest first.
Moment = tuple[datetime, str]
#: (execution_depth, id) of the last one seen in a tree.
Level = tuple[int, str]


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions a list holds; `before` is the last one seen."""

    owner_id: str | None = None
    status: str | None = None
    flow_id: str | None = None
    root_execution_id: str | None = None
    before: Moment | None = None


@dataclass(frozen=True, slots=True)
class RootFilter:
    """Which roots a list holds; `created_before` is a bound of the caller's."""

    flow_id: str
    owner_id: str | None
    before: Moment | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """A root execution, how many levels its tree has, and how many executions: itself counts."""

    row: Row[Any]
    levels: int
    total: int


class ListingTable:
    """Executions in lists. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: ExecutionFilter, limit: int) -> Sequence[Row[Any]]:
        """The newest rows that pass the filter, at most `limit`."""
        query = select(executions)
        for column, value in (
            (executions.c.owner_id, wanted.owner_id),
            (executions.c.status, wanted.status),
            (executions.c.flow_id, wanted.flow_id),
        ):
            if value is not None:
                query = query.where(column == value)
        if wanted.root_execution_id is not None:
            query = query.where(_is_in_tree_of(wanted.root_execution_id))
        if wanted.before is not None:
            query = query.where(_older_than(wanted.before))
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(*_newest(executions)).limit(limit)))

    def roots(self, wanted: RootFilter, limit: int) -> Sequence[Root]:
        """The newest roots of a flow, at most `limit`, with the size of their trees."""
        query = select(executions).where(
            executions.c.flow_id == wanted.flow_id,
            executions.c.parent_execution_id.is_(None),
        )
        if wanted.owner_id is not None:
            query = query.where(executions.c.owner_id == wanted.owner_id)
        if wanted.created_before is not None:
            query = query.where(executions.c.created_at < wanted.created_before)
        if wanted.before is not None:
            query = query.where(_older_than(wanted.before))
        # Chosen before their descendants are counted, or those of all roots would be.
        chosen = query.order_by(*_newest(executions)).limit(limit).subquery()
        nested = executions.alias()
        counted = (
            select(
                (1 + func.coalesce(func.max(nested.c.execution_depth), 0)).label("levels"),
                (1 + func.count()).label("total"),
            )
            .where(nested.c.root_execution_id == chosen.c.id)
            .where(nested.c.parent_execution_id.is_not(None))
            .lateral()
        )
        sized = select(chosen, counted).join(counted, true()).order_by(*_newest(chosen))
        with self._database.reading() as connection:
            return [Root(row, row.levels, row.total) for row in connection.execute(sized)]

    def tree(self, execution_id: str, limit: int, after: Level | None) -> Sequence[Row[Any]]:
        """An execution and all that descend from it, by depth, then id; at most `limit`."""
        members = select(executions.c.id).where(executions.c.id == execution_id).cte(recursive=True)
        child = executions.alias()
        members = members.union(
            select(child.c.id).where(child.c.parent_execution_id == members.c.id)
        )
        place = (executions.c.execution_depth, executions.c.id.collate("C"))
        query = select(executions).join(members, members.c.id == executions.c.id)
        if after is not None:
            query = query.where(tuple_(*place) > tuple_(*after))
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(*place).limit(limit)))

    def recoveries(self, execution_id: str, limit: int, offset: int) -> Sequence[Row[Any]]:
        """The times that an execution was taken from an owner, oldest first."""
        query = select(recoveries).where(recoveries.c.execution_id == execution_id)
        with self._database.reading() as connection:
            page = query.order_by(recoveries.c.id).limit(limit).offset(offset)
            return list(connection.execute(page))


def _newest(rows: FromClause) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return rows.c.created_at.desc(), rows.c.id.desc()


def _older_than(seen: Moment) -> ColumnElement[bool]:
    at, id_ = seen
    older = executions.c.created_at < at
    return or_(older, and_(executions.c.created_at == at, executions.c.id < id_))


def _is_in_tree_of(root_execution_id: str) -> ColumnElement[bool]:
    """In the terms of the indexes: the root by its id, the others as descendants.

    Retention deletes the root before them: where it is gone, so are all.
    """
    root = executions.alias()
    descends = and_(
        executions.c.root_execution_id == root_execution_id,
        executions.c.parent_execution_id.is_not(None),
    )
    is_root = and_(
        executions.c.id == root_execution_id, executions.c.root_execution_id == root_execution_id
    )
    is_there = select(root.c.id).where(root.c.id == root_execution_id).exists()
    return and_(is_there, or_(is_root, descends))
