"""The store of local mode, as the tests that every store passes look at it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from app.local.database import MemoryDatabase
from app.local.executions import MemoryExecutionTable
from app.store.records import NewExecution
from app.store.runs import PgRunStore
from tests.world import new_execution

#: Columns that PostgreSQL's driver gives as values.
JSON_COLUMNS = ("options", "inputs", "integration", "external_events", "waiting", "grants")


class MemoryWorld:
    """Tables in this process, on its clock unless another is given."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.database = MemoryDatabase(now)
        self.table = MemoryExecutionTable(self.database)
        self._numbers = itertools.count(1)

    def open(self) -> PgRunStore:
        return PgRunStore(self.database)

    def new(self, **more: Any) -> NewExecution:
        return new_execution(next(self._numbers), **more)

    def create(self, *, priority: int = 5, start: bool = True, **more: Any) -> str:
        new = self.new(priority=priority, start=start, **more)
        self.table.create([new])
        return new.id

    def row(self, execution_id: str) -> SimpleNamespace:
        row = self.database.tables.executions[execution_id]
        shown = {name: getattr(row, name) for name in row.__slots__}
        for name in JSON_COLUMNS:
            if shown[name] is not None:
                shown[name] = json.loads(shown[name])
        return SimpleNamespace(**shown)

    def claim_of(self, execution_id: str) -> Any:
        return copy(self.database.tables.claims.get(execution_id, {}).get(""))

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
