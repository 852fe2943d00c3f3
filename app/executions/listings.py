"""Looking at many executions: lists, a flow's roots, a tree, the audit trail of recoveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Row

from app.caller import Caller
from app.errors import Forbidden, NotFound
from app.events.wire import timestamp
from app.executions.views import execution_json
from app.store.executions import ExecutionTable
from app.store.listings import ExecutionFilter, Level, ListingTable, Moment, RootFilter
from app.values.ports import Value

Place = TypeVar("Place")

Json = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Page(Generic[Place]):
    """Items in order; `after` is the place where the next page begins, None at the end."""

    items: Sequence[Json]
    after: Place | None


class Listings:
    """Pages of the executions that a caller sees. Every method may raise StoreUnavailable."""

    def __init__(self, table: ExecutionTable, listings: ListingTable) -> None:
        self._table = table
        self._listings = listings

    def executions(
        self,
        caller: Caller,
        *,
        status: str | None,
        flow_id: str | None,
        root_execution_id: str | None,
        limit: int,
        before: Moment | None,
    ) -> Page[Moment]:
        """List executions, newest first."""
        wanted = ExecutionFilter(caller.scope, status, flow_id, root_execution_id, before)
        rows = self._listings.page(wanted, limit + 1)
        shown = rows[:limit]
        reached = self._table.limit_reached(shown)
        return Page(
            [execution_json(row, limit=reached) for row in shown],
            _moment(shown[-1]) if len(rows) > limit else None,
        )

    def roots(
        self,
        flow_id: str,
        caller: Caller,
        *,
        limit: int,
        before: Moment | None,
        created_before: datetime | None,
    ) -> Page[Moment]:
        """List a flow's root executions, newest first, each with the size of its tree.

        A hidden flow has them still. Raises NotFound, Forbidden.
        """
        self._check_flow(flow_id, caller)
        wanted = RootFilter(flow_id, caller.scope, before, created_before)
        roots = self._listings.roots(wanted, limit + 1)
        shown = roots[:limit]
        reached = self._table.limit_reached(root.row for root in shown)
        return Page(
            [
                {
                    "execution": execution_json(root.row, limit=reached),
                    "levels": root.levels,
                    "totalNested": root.total,
                }
                for root in shown
            ],
            _moment(shown[-1].row) if len(roots) > limit else None,
        )

    def tree(
        self, execution_id: str, caller: Caller, *, limit: int, after: Level | None
    ) -> Page[Level]:
        """List an execution and all that descend from it, by level, then id. Raises NotFound."""
        top = self._own(execution_id, caller)
        rows = self._listings.tree(execution_id, limit + 1, after)
        shown = rows[:limit]
        last = shown[-1] if len(rows) > limit else None
        reached = self._table.limit_reached(shown)
        return Page(
            [_member(row, row.execution_depth - top.execution_depth, reached) for row in shown],
            (last.execution_depth, last.id) if last else None,
        )

    def recoveries(
        self, execution_id: str, caller: Caller, *, limit: int, offset: int
    ) -> Page[int]:
        """List the times that an execution was taken from its owner. Raises NotFound."""
        self._own(execution_id, caller)
        rows = self._listings.recoveries(execution_id, limit + 1, offset)
        after = offset + limit if len(rows) > limit else None
        return Page([_recovery(row) for row in rows[:limit]], after)

    def _check_flow(self, flow_id: str, caller: Caller) -> None:
        head = self._table.flow_head(flow_id)
        if head is None:
            raise NotFound(f"There is no flow '{flow_id}'")
        if not caller.may_see(head.owner_id):
            raise Forbidden("User does not own this flow")

    def _own(self, execution_id: str, caller: Caller) -> Row[Any]:
        row = self._table.one(execution_id)
        if row is None or not caller.may_see(row.owner_id):
            raise NotFound(f"There is no execution '{execution_id}'")
        return row


def _moment(row: Row[Any]) -> Moment:
    return row.created_at, row.id


def _member(row: Row[Any], level: int, limit_reached: int | None) -> Json:
    return {
        "id": row.id,
        "parentId": row.parent_execution_id,
        "level": level,
        "execution": execution_json(row, limit=limit_reached),
    }


def _recovery(row: Row[Any]) -> Json:
    return {
        "recoveredAt": timestamp(row.recovered_at),
        "recoveredByWorker": row.recovered_by_worker,
        "recoveryReason": row.recovery_reason,
        "previousStatus": row.previous_status,
        "previousWorkerId": row.previous_worker_id,
    }
