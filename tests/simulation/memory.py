"""The store in memory, in the world's time: thousands of schedules a minute."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from app.local.database import MemoryDatabase, MemorySession
from app.local.executions import MemoryExecutionTable
from app.local.guards import Guards
from app.local.rows import FlowRow, FlowVersionRow
from app.store.executions import ExecutionTable
from tests.simulation.books import COLUMNS, SignalRow, State, StepClaim
from tests.simulation.nodes import FLOWS
from tests.simulation.scheduler import Scheduler

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


class MemorySide:
    """The server's side of a session: statements and transactions are one step each."""

    is_atomic = True

    def __init__(self, session: MemorySession) -> None:
        self.execute = session.execute
        self.close = session.close


class MemoryBackend:
    """`MemoryDatabase`, and a look at its rows."""

    def __init__(self, scheduler: Scheduler, guards: Guards | None = None) -> None:
        self._scheduler = scheduler
        self.database = MemoryDatabase(self._at, guards=guards)
        self._states: dict[str, State] = {}
        self._store_flows()

    def _at(self) -> datetime:
        return BEGIN + timedelta(seconds=self._scheduler.now)

    def _store_flows(self) -> None:
        at = self._at()
        for flow_id, document in FLOWS.items():
            self.database.tables.flows[flow_id] = FlowRow(
                id=flow_id, owner_id="local", name="", version=1, created_at=at, updated_at=at
            )
            self.database.tables.flow_versions[flow_id, 1] = FlowVersionRow(
                flow_id=flow_id, version=1, document=json.dumps(document), created_at=at
            )

    def open(self, *, pooled: bool) -> MemorySide:
        return MemorySide(self.database.open())

    def reading(self) -> Any:
        return self.database.reading()

    def table(self, database: Any) -> ExecutionTable:
        return MemoryExecutionTable(database)

    def restart(self) -> None:
        """Every session is gone; locks that were taken before prove nothing any more."""
        self.database.restart()

    def states(self) -> dict[str, State]:
        # Asked for after every statement, of which most change nothing.
        for id_, row in self.database.tables.executions.items():
            columns = COLUMNS(row)
            if self._states.get(id_) != columns:
                self._states[id_] = State._make(columns)
        return self._states

    def batches(self, execution_id: str, after: int) -> list[tuple[int, list[str], Any]]:
        found = self.database.tables.event_batches.get(execution_id, ())
        return [
            (batch.first_index, list(batch.types), json.loads(batch.data))
            for batch in found
            if batch.first_index > after
        ]

    def checkpoints(self, execution_id: str) -> dict[str, tuple[str, int]]:
        rows = self.database.tables.checkpoints.get(execution_id, {})
        return {node: (row.status, row.attempt) for node, row in rows.items()}

    def steps(self, execution_id: str) -> list[StepClaim]:
        claims = self.database.tables.claims.get(execution_id, {}).values()
        return [
            StepClaim(c.node_id, c.attempt or 0, c.epoch, c.status, c.result is not None)
            for c in claims
            if c.node_id
        ]

    def signals(self, execution_id: str) -> list[SignalRow]:
        return [
            SignalRow(
                row.id,
                None if row.payload is None else json.loads(row.payload),
                row.node_id,
                row.taken_at,
                row.timed_out,
            )
            for row in self.database.tables.signals.get(execution_id, ())
        ]

    def close(self) -> None:
        """Nothing is kept."""
