"""The database in this process: its tables, its hooks, its sessions."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest

import app.store
from app.errors import StoreUnavailable
from app.local import rows
from app.local.database import HANDLERS, MemoryDatabase
from app.local.executions import MemoryExecutionTable
from app.local.guards import Guards
from app.local.listings import MemoryListingTable
from app.local.rows import ExecutionRow
from app.store import tables
from app.store.executions import ExecutionTable
from app.store.leases import PgLeaseStore
from app.store.listings import ListingTable
from app.store.records import Claimed, Void, WorkerRow, Written
from app.store.runs import PgRunStore
from app.store.session import Statement
from app.store.sweeps import PgSweepStore
from tests.integration.store.boundaries import DONE, boundary, claim
from tests.world import new_execution

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def database(**more: object) -> MemoryDatabase:
    return MemoryDatabase(lambda: NOON, **more)  # type: ignore[arg-type]


def claimed_on(made: MemoryDatabase) -> tuple[PgRunStore, Claimed]:
    MemoryExecutionTable(made).create([new_execution(1)])
    store = PgRunStore(made)
    return store, claim(store, None)


@pytest.mark.parametrize(
    ("row", "table"),
    [
        (rows.ExecutionRow, tables.executions),
        (rows.ClaimRow, tables.claims),
        (rows.RecoveryRow, tables.recoveries),
        (rows.CheckpointRow, tables.checkpoints),
        (rows.EventBatchRow, tables.event_batches),
        (rows.KeyRow, tables.idempotency_keys),
        (rows.BulkRow, tables.bulk_commands),
        (rows.SignalRow, tables.signals),
        (rows.WorkerRow, tables.workers),
        (rows.BeatRow, tables.beat),
        (rows.FlowRow, tables.flows),
        (rows.FlowVersionRow, tables.flow_versions),
    ],
)
def test_a_row_has_the_columns_of_its_table(row: type, table: tables.Table) -> None:
    assert {field.name for field in fields(row)} == set(table.columns.keys())


def test_hooks_come_before_and_after_each_statement() -> None:
    told: list[str] = []
    made = database(
        before=lambda name: told.append(f"before {name}"),
        after=lambda name: told.append(f"after {name}"),
    )
    PgRunStore(made).now()

    assert told == ["before connect", "before server_now", "after server_now"]


def failing(at: str) -> Callable[[str], None]:
    """A connection that breaks at this statement, once."""
    left = [at]

    def hook(name: str) -> None:
        if name in left:
            left.clear()
            raise StoreUnavailable

    return hook


def test_a_connection_that_breaks_before_a_write_has_written_nothing() -> None:
    made = database(before=failing("write_boundary"))
    store, claimed = claimed_on(made)

    with pytest.raises(StoreUnavailable):
        store.write(claimed.fence, claimed.writes, boundary("flow:started"))

    assert made.tables.executions[claimed.fence.execution_id].writes == claimed.writes
    settled = store.settle_unknown(claimed.fence, claimed.writes, boundary("flow:started"))
    assert settled == Written(0, NOON)


def test_a_connection_that_breaks_after_a_write_has_written() -> None:
    made = database(after=failing("write_boundary"))
    store, claimed = claimed_on(made)

    with pytest.raises(StoreUnavailable):
        store.write(claimed.fence, claimed.writes, boundary("flow:started"))

    assert made.tables.executions[claimed.fence.execution_id].writes == claimed.writes + 1
    assert store.settle_unknown(claimed.fence, claimed.writes, boundary("flow:started")) == Written(
        0, NOON
    )


def test_a_guard_can_be_taken_out_to_plant_a_fault() -> None:
    class NoFence(Guards):
        def may_write(self, row: ExecutionRow, epoch: int, writes: int) -> bool:
            return True

    for guards, outcome in ((None, Void), (NoFence(), Written)):
        made = database(guards=guards)
        store, claimed = claimed_on(made)
        assert isinstance(store.write(claimed.fence, claimed.writes + 7, DONE), outcome)


def test_a_dead_process_is_told_by_its_lock() -> None:
    made = database()
    row = WorkerRow("w1", None, "host", 1, "threads", 1, ["default"], 1000, 7)
    leases, sweeps = PgLeaseStore(made, row), PgSweepStore(made, "w2")
    leases.register()
    assert sweeps.unlocked() == set()

    leases.close()

    assert sweeps.unlocked() == {"w1"}


def test_a_server_that_starts_anew_keeps_rows_and_forgets_sessions() -> None:
    clock = [NOON]
    made = MemoryDatabase(lambda: clock[0])
    store, claimed = claimed_on(made)
    row = WorkerRow("w1", None, "host", 1, "threads", 1, ["default"], 1000, 7)
    leases = PgLeaseStore(made, row)
    leases.register()
    clock[0] += timedelta(seconds=1)

    made.restart()

    assert made.locks == {}
    assert PgSweepStore(made, "w2").unlocked() == set()
    with pytest.raises(StoreUnavailable):
        store.holds(claimed.fence)
    assert store.holds(claimed.fence)


# -- nothing of the store is left out


def test_every_statement_of_the_store_is_answered() -> None:
    modules = [
        importlib.import_module(f"app.store.{module.name}")
        for module in pkgutil.iter_modules(app.store.__path__)
    ]
    named = {
        value.name
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Statement)
    }

    assert named == set(HANDLERS)


@pytest.mark.parametrize(
    ("table", "twin"), [(ExecutionTable, MemoryExecutionTable), (ListingTable, MemoryListingTable)]
)
def test_what_postgresql_is_asked_by_sqlalchemy_is_answered(table: type, twin: type) -> None:
    asking = {
        name
        for name, method in vars(table).items()
        if inspect.isfunction(method) and "_database.reading()" in inspect.getsource(method)
    }

    assert asking == asking & vars(twin).keys()
