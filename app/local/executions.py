"""Executions as the API sees them, read from the tables of this process."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from app.local.database import MemoryDatabase
from app.store.executions import ExecutionTable
from app.store.flow_lookup import FlowLookup


class MemoryExecutionTable(ExecutionTable):
    """Its statements run as they are; what SQLAlchemy asks PostgreSQL is answered here.

    Rows are copies: what happens later doesn't show in them.
    """

    def __init__(self, database: MemoryDatabase, *, limit: int = 0) -> None:
        self._memory = database
        self._sessions = database
        self._limit = limit
        self._flows = FlowLookup(database)

    def one(self, execution_id: str) -> Any:
        """The row with this id."""
        with self._memory.reading() as tables:
            return copy(tables.executions.get(execution_id))

    def many(self, execution_ids: Sequence[str]) -> Sequence[Any]:
        """The rows with these ids, in whatever order; what isn't there is left out."""
        with self._memory.reading() as tables:
            found = [tables.executions.get(execution_id) for execution_id in execution_ids]
            return [copy(row) for row in found if row is not None]

    def checkpoints(self, execution_id: str) -> Sequence[Any]:
        """The checkpoints and resolutions of an execution in the order of writing."""
        with self._memory.reading() as tables:
            rows: list[Any] = [
                copy(row) for row in tables.checkpoints.get(execution_id, {}).values()
            ]
            rows += tables.resolutions.get(execution_id, ())
        return sorted(rows, key=lambda row: row.seq)

    def active_claims(self, owner_id: str | None) -> Sequence[Any]:
        """(worker id, execution id) of all that runs now, or of what an owner has of it."""
        with self._memory.reading() as tables:
            owned = [
                claims
                for execution_id, claims in tables.claims.items()
                if owner_id in {None, tables.executions[execution_id].owner_id}
            ]
            claims = [claim for claims in owned for claim in claims.values()]
            active = [copy(claim) for claim in claims if claim.status == "active"]
        return sorted(active, key=lambda claim: claim.claimed_at)

    def workers(self) -> Sequence[Any]:
        """The rows of all worker processes, parents first."""
        with self._memory.reading() as tables:
            rows = [copy(row) for row in tables.workers.values()]
        return sorted(rows, key=lambda row: (row.parent_worker_id is not None, row.started_at))
