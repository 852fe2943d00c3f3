"""The store of local mode, as the tests that every store passes look at it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from app.local.database import MemoryDatabase
from app.local.executions import MemoryExecutionTable
from app.local.rows import RecoveryRow, Tables
from app.store.commands import PgCommandStore
from app.store.leases import PgLeaseStore
from app.store.records import NewExecution, WorkerRow
from app.store.runs import PgRunStore
from app.store.sweeps import PgSweepStore
from tests.world import new_execution

#: Columns that PostgreSQL's driver gives as values.
JSON_COLUMNS = (
    "options",
    "inputs",
    "integration",
    "external_events",
    "waiting",
    "grants",
    "queues",
    "result",
    "outputs",
    "chosen",
    "error",
    "document",
    "payload",
)


class MemoryWorld:
    """Tables in this process, on its clock unless another is given."""

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        database: MemoryDatabase | None = None,
    ) -> None:
        self.database = database or MemoryDatabase(now)
        self.table = MemoryExecutionTable(self.database)
        self._numbers = itertools.count(1)

    def open(self, *, limit: int = 0) -> PgRunStore:
        return PgRunStore(self.database, limit=limit)

    def new(self, *, priority: int = 5, start: bool = True, **more: Any) -> NewExecution:
        more |= {"priority": priority, "start": start}
        return new_execution(next(self._numbers), **more)

    def commands(self) -> PgCommandStore:
        return PgCommandStore(self.database)

    def adopt(self, execution_id: str, parent_id: str) -> None:
        row = self.database.tables.executions[execution_id]
        parent = self.database.tables.executions[parent_id]
        row.parent_execution_id, row.root_execution_id = parent.id, parent.root_execution_id
        row.execution_depth = parent.execution_depth + 1
        row.child_state = "open" if row.completed_at is None else "untold"
        self.database.tables.offspring.setdefault(parent_id, []).append(execution_id)

    def create(self, *, priority: int = 5, start: bool = True, **more: Any) -> str:
        new = self.new(priority=priority, start=start, **more)
        self.table.create([new])
        return new.id

    def row(self, execution_id: str) -> SimpleNamespace:
        [row] = self.rows("chaingraph_executions", id=execution_id)
        return row

    def rows(self, table: str, **where: Any) -> list[SimpleNamespace]:
        return [_shown(row) for row in self._found(table, where)]

    def change(self, table: str, where: Mapping[str, Any], **columns: Any) -> None:
        for row in self._found(table, where):
            for name, value in columns.items():
                setattr(row, name, value)

    def _found(self, table: str, where: Mapping[str, Any]) -> list[Any]:
        rows = all_rows(self.database.tables, table)
        return [row for row in rows if all(getattr(row, name) == where[name] for name in where)]

    def note_recovery(self, execution_id: str, previous_worker_id: str) -> None:
        audit = self.database.tables.recoveries
        audit.append(
            RecoveryRow(
                id=len(audit) + 1,
                execution_id=execution_id,
                recovered_at=self.now(),
                recovered_by_worker="w9",
                recovery_reason="worker_died",
                previous_status="running",
                previous_worker_id=previous_worker_id,
            )
        )

    def recoveries(self, execution_id: str) -> list[SimpleNamespace]:
        return self.rows("chaingraph_execution_recovery", execution_id=execution_id)

    def now(self) -> datetime:
        return self.database.now()

    def leases(self, worker: WorkerRow) -> PgLeaseStore:
        return PgLeaseStore(self.database, worker)

    def sweeps(self, worker_id: str, *, limit: int = 0) -> PgSweepStore:
        return PgSweepStore(self.database, worker_id, limit=limit)

    def cut_off(self, leases: PgLeaseStore) -> None:
        session: Any = leases._session
        assert session is not None
        session.cut()

    def is_locked(self, key: int) -> bool:
        return key in self.database.locks

    def server_started_at(self) -> datetime:
        return self.database.started_at

    def claim_of(self, execution_id: str) -> SimpleNamespace | None:
        rows = self.rows("chaingraph_execution_claims", execution_id=execution_id, node_id="")
        return rows[0] if rows else None

    def events(self, execution_id: str) -> list[tuple[int, str, str]]:
        return [
            (index, type_, data)
            for batch in self.database.tables.event_batches.get(execution_id, ())
            for index, (type_, data) in enumerate(
                zip(batch.types, batch.texts, strict=True), batch.first_index
            )
        ]

    def take_over(self, execution_id: str) -> None:
        row = self.database.tables.executions[execution_id]
        row.epoch += 1
        row.writes += 1
        row.runnable_at, row.processing_worker_id = self.database.now(), None
        for claim in self.database.tables.claims.get(execution_id, {}).values():
            claim.status = "expired"
            claim.expires_at = claim.expires_at or self.database.now()

    def wake(self, execution_id: str, *, runnable: bool = False) -> None:
        row = self.database.tables.executions[execution_id]
        row.wake += 1
        if runnable:
            row.runnable_at = self.database.now()

    def request(self, execution_id: str, command: str) -> None:
        self.database.tables.executions[execution_id].requested = command

    def forget(self, execution_id: str) -> None:
        del self.database.tables.executions[execution_id]


def all_rows(tables: Tables, name: str) -> Iterable[Any]:
    """The rows of a table by the name that it has in PostgreSQL."""
    by_key: dict[str, Any] = {
        "chaingraph_executions": tables.executions,
        "chaingraph_workers": tables.workers,
        "chaingraph_slots": tables.slots,
        "chaingraph_flows": tables.flows,
        "chaingraph_flow_versions": tables.flow_versions,
        "chaingraph_secrets": tables.secrets,
        "chaingraph_deletions": tables.deletions,
        "chaingraph_idempotency_keys": tables.idempotency_keys,
    }
    by_execution: dict[str, Any] = {
        "chaingraph_execution_claims": tables.claims,
        "chaingraph_checkpoints": tables.checkpoints,
    }
    lists: dict[str, Any] = {
        "chaingraph_execution_recovery": tables.recoveries,
        "chaingraph_signals": [row for rows in tables.signals.values() for row in rows],
        "chaingraph_beat": [tables.beat] if tables.beat else [],
    }
    if name in by_key:
        return list(by_key[name].values())
    if name in by_execution:
        return [row for rows in by_execution[name].values() for row in rows.values()]
    return list(lists[name])


def _shown(row: Any) -> SimpleNamespace:
    shown = {field.name: getattr(row, field.name) for field in fields(row)}
    for name in JSON_COLUMNS:
        if shown.get(name) is not None:
            shown[name] = json.loads(shown[name])
    return SimpleNamespace(**shown)
