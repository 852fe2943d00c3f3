"""A store and its surroundings, as tests set them up and look at them: PostgreSQL is one.

What another store has to bring along to be held against the same tests is `World`.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Protocol

import psycopg2
from psycopg2.extras import RealDictCursor

from app.store import run_statements
from app.store.commands import PgCommandStore
from app.store.database import Database
from app.store.executions import ExecutionTable
from app.store.leases import PgLeaseStore
from app.store.protocol import CommandStore, RunStore
from app.store.records import NewExecution, WorkerRow
from app.store.runs import PgRunStore
from app.store.sessions import Sessions
from app.store.sweeps import PgSweepStore
from tests.waiting import wait_until

TABLES = (
    "chaingraph_executions",
    "chaingraph_execution_claims",
    "chaingraph_execution_recovery",
    "chaingraph_checkpoints",
    "chaingraph_resolutions",
    "chaingraph_event_batches",
    "chaingraph_deletions",
    "chaingraph_idempotency_keys",
    "chaingraph_bulk_commands",
    "chaingraph_tokens",
    "chaingraph_audit",
    "chaingraph_signals",
    "chaingraph_workers",
    "chaingraph_slots",
    "chaingraph_beat",
    "chaingraph_flow_versions",
    "chaingraph_flows",
    "chaingraph_secrets",
)

OPTIONS: dict[str, Any] = {
    "execution": {
        "maxConcurrency": 50,
        "nodeTimeoutMs": 60_000,
        "flowTimeoutMs": 0,
        "onNodeError": "fail",
    },
    "debug": False,
    "breakpoints": [],
    "priority": 5,
}


def new_execution(
    number: int, *, priority: int = 5, start: bool = True, **more: Any
) -> NewExecution:
    """What creates the execution with this number; a higher one is younger."""
    fields: dict[str, Any] = {
        "id": f"EX{number:024}",
        "flow_id": "V2flow",
        "flow_version": 1,
        "owner_id": "local",
        "priority": priority,
        "options": json.dumps(OPTIONS),
        "inputs": None,
        "integration": None,
        "start_requested": start,
        "start_timeout_ms": None if start else 300_000,
        "nodes_total": 5,
        "created_event": '{"flowId":"V2flow"}',
    }
    return NewExecution(**fields | more)


class World(Protocol):
    """A store from outside and from above: rows are named and made as in PostgreSQL."""

    @property
    def database(self) -> Sessions:
        """What runs the statements."""
        ...

    @property
    def table(self) -> ExecutionTable:
        """Executions as the API sees them."""
        ...

    def open(self, *, limit: int = 0) -> RunStore:
        """A process's store; each has its own connection."""
        ...

    def new(self, *, priority: int = 5, start: bool = True, **more: Any) -> NewExecution:
        """What creates an execution, younger than those before."""
        ...

    def commands(self) -> CommandStore:
        """What the API gives commands with."""
        ...

    def create(self, *, priority: int = 5, start: bool = True, **more: Any) -> str:
        """Create an execution, younger than those before; gives its id."""
        ...

    def adopt(self, execution_id: str, parent_id: str) -> None:
        """Make an execution the child of another."""
        ...

    def row(self, execution_id: str) -> SimpleNamespace:
        """The execution's row."""
        ...

    def claim_of(self, execution_id: str) -> SimpleNamespace | None:
        """The row of its claim."""
        ...

    def events(self, execution_id: str) -> list[tuple[int, str, str]]:
        """Its events in order: index, type, data as text."""
        ...

    def take_over(self, execution_id: str) -> None:
        """Do as a sweep does: the present owner has lost it, and any may claim it."""
        ...

    def wake(self, execution_id: str, *, runnable: bool = False) -> None:
        """Something arrives for it."""
        ...

    def request(self, execution_id: str, command: str) -> None:
        """A command is requested of its owner."""
        ...

    def forget(self, execution_id: str) -> None:
        """Delete it, as retention does."""
        ...

    def rows(self, table: str, **where: Any) -> list[SimpleNamespace]:
        """The rows of a table whose columns have these values."""
        ...

    def change(self, table: str, where: Mapping[str, Any], **columns: Any) -> None:
        """Give columns other values in the rows whose columns have these."""
        ...

    def note_recovery(self, execution_id: str, previous_worker_id: str) -> None:
        """Add to the audit trail of an execution: a worker died."""
        ...

    def recoveries(self, execution_id: str) -> list[SimpleNamespace]:
        """The audit trail of an execution, oldest first."""
        ...

    def now(self) -> datetime:
        """The store's time."""
        ...

    def leases(self, worker: WorkerRow) -> PgLeaseStore:
        """A process's registration; ended with the test."""
        ...

    def sweeps(self, worker_id: str, *, limit: int = 0) -> PgSweepStore:
        """A process's sweep; ended with the test."""
        ...

    def cut_off(self, leases: PgLeaseStore) -> None:
        """End the connection of a process on the server, and see it gone."""
        ...

    def is_locked(self, key: int) -> bool:
        """Whether a session holds the advisory lock."""
        ...

    def server_started_at(self) -> datetime:
        """When the server started that runs now."""
        ...


class PgWorld:
    """PostgreSQL, with a connection to look from beside the stores."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, pool_size=20)
        self.table = ExecutionTable(self.database)
        self._connection = self.connect()
        self._stores: list[PgRunStore | PgLeaseStore | PgSweepStore] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def connect(self) -> Any:
        connection = psycopg2.connect(self.database.url)
        connection.autocommit = True
        return connection

    def execute(self, statement: str, *args: object) -> list[SimpleNamespace]:
        with self._lock, self._connection.cursor(cursor_factory=RealDictCursor) as cursor:
            cursor.execute(statement, args)
            return [SimpleNamespace(**row) for row in cursor] if cursor.description else []

    def one(self, statement: str, *args: object) -> Any:
        """The only value of the only row."""
        [row] = self.execute(statement, *args)
        [value] = vars(row).values()
        return value

    def clear(self) -> None:
        """Leave every table empty, and no store open."""
        for store in self._stores:
            store.close()
        self._stores.clear()
        for table in TABLES:
            self.execute(f"DELETE FROM {table}")

    def close(self) -> None:
        self.clear()
        self._connection.close()
        self.database.engine.dispose()

    def open(self, *, limit: int = 0) -> PgRunStore:
        store = PgRunStore(self.database, limit=limit)
        self._stores.append(store)
        return store

    def commands(self) -> PgCommandStore:
        return PgCommandStore(self.database)

    def adopt(self, execution_id: str, parent_id: str) -> None:
        self.execute(
            "UPDATE chaingraph_executions AS c SET parent_execution_id = p.id,"
            " root_execution_id = p.root_execution_id, execution_depth = p.execution_depth + 1,"
            " child_state = CASE WHEN c.completed_at IS NULL THEN 'open' ELSE 'untold' END"
            " FROM chaingraph_executions AS p WHERE c.id = %s AND p.id = %s",
            execution_id,
            parent_id,
        )

    def store_flow(self, document: Any, flow_id: str = "V2flow") -> str:
        version = (
            self.one("SELECT count(*) FROM chaingraph_flow_versions WHERE flow_id = %s", flow_id)
            + 1
        )
        self.execute(
            "INSERT INTO chaingraph_flows (id, owner_id, name, version) VALUES (%s, 'local', '', 1)"
            " ON CONFLICT (id) DO UPDATE SET version = %s",
            flow_id,
            version,
        )
        self.execute(
            "INSERT INTO chaingraph_flow_versions (flow_id, version, document) VALUES (%s, %s, %s)",
            flow_id,
            version,
            json.dumps(document),
        )
        return flow_id

    def new(self, *, priority: int = 5, start: bool = True, **more: Any) -> NewExecution:
        more |= {"priority": priority, "start": start}
        return new_execution(next(self._numbers), **more)

    def create(self, *, priority: int = 5, start: bool = True, **more: Any) -> str:
        new = self.new(priority=priority, start=start, **more)
        self.table.create([new])
        return new.id

    def row(self, execution_id: str) -> SimpleNamespace:
        [row] = self.execute("SELECT * FROM chaingraph_executions WHERE id = %s", execution_id)
        return row

    def writes(self, execution_id: str) -> int:
        """How often its last owner has written for it."""
        row = self.row(execution_id)
        first = self.one(
            "SELECT hashtext(%s) & %s", row.claim_token, run_statements.MOST_FIRST_WRITES
        )
        return int(row.writes - first)

    def claim_of(self, execution_id: str) -> SimpleNamespace | None:
        rows = self.execute(
            "SELECT * FROM chaingraph_execution_claims WHERE execution_id = %s AND node_id = ''",
            execution_id,
        )
        return rows[0] if rows else None

    def events(self, execution_id: str) -> list[tuple[int, str, str]]:
        rows = self.execute(
            "SELECT index, type, data::text FROM chaingraph_execution_events"
            " WHERE execution_id = %s ORDER BY index",
            execution_id,
        )
        return [(row.index, row.type, row.data) for row in rows]

    def note_recovery(self, execution_id: str, previous_worker_id: str) -> None:
        self.execute(
            "INSERT INTO chaingraph_execution_recovery (execution_id, recovered_by_worker,"
            " recovery_reason, previous_status, previous_worker_id)"
            " VALUES (%s, 'w9', 'worker_died', 'running', %s)",
            execution_id,
            previous_worker_id,
        )

    def recoveries(self, execution_id: str) -> list[SimpleNamespace]:
        return self.execute(
            "SELECT * FROM chaingraph_execution_recovery WHERE execution_id = %s ORDER BY id",
            execution_id,
        )

    def take_over(self, execution_id: str) -> None:
        self.execute(
            "UPDATE chaingraph_executions SET epoch = epoch + 1, writes = writes + 1,"
            " runnable_at = clock_timestamp(), processing_worker_id = NULL WHERE id = %s",
            execution_id,
        )
        self.execute(
            "UPDATE chaingraph_execution_claims SET status = 'expired' WHERE execution_id = %s",
            execution_id,
        )

    def wake(self, execution_id: str, *, runnable: bool = False) -> None:
        self.execute(
            "UPDATE chaingraph_executions SET wake = wake + 1, runnable_at ="
            " CASE WHEN %s THEN clock_timestamp() ELSE runnable_at END WHERE id = %s",
            runnable,
            execution_id,
        )

    def request(self, execution_id: str, command: str) -> None:
        self.execute(
            "UPDATE chaingraph_executions SET requested = %s WHERE id = %s", command, execution_id
        )

    def forget(self, execution_id: str) -> None:
        self.execute("DELETE FROM chaingraph_executions WHERE id = %s", execution_id)

    def rows(self, table: str, **where: Any) -> list[SimpleNamespace]:
        return self.execute(
            f"SELECT * FROM {table} WHERE {_pairs(where, ' AND ')}", *where.values()
        )

    def change(self, table: str, where: Mapping[str, Any], **columns: Any) -> None:
        self.execute(
            f"UPDATE {table} SET {_pairs(columns, ', ')} WHERE {_pairs(where, ' AND ')}",
            *columns.values(),
            *where.values(),
        )

    def leases(self, worker: WorkerRow) -> PgLeaseStore:
        store = PgLeaseStore(self.database, worker)
        self._stores.append(store)
        return store

    def sweeps(self, worker_id: str, *, limit: int = 0) -> PgSweepStore:
        store = PgSweepStore(self.database, worker_id, limit=limit)
        self._stores.append(store)
        return store

    def cut_off(self, leases: PgLeaseStore) -> None:
        session: Any = leases._session
        assert session is not None
        backend = session.backend_pid
        self.execute("SELECT pg_terminate_backend(%s)", backend)
        wait_until(
            lambda: not self.one("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", backend),
            "the connection is gone",
        )

    def is_locked(self, key: int) -> bool:
        if self.one("SELECT pg_try_advisory_lock(%s)", key):
            self.execute("SELECT pg_advisory_unlock(%s)", key)
            return False
        return True

    def server_started_at(self) -> datetime:
        at: datetime = self.one("SELECT pg_postmaster_start_time()")
        return at

    def now(self) -> datetime:
        at: datetime = self.one("SELECT clock_timestamp()")
        return at


def _pairs(columns: Mapping[str, Any], between: str) -> str:
    return between.join([f"{name} = %s" for name in columns]) or "true"
