"""Real PostgreSQL in the world's time: real statements, on a connection for each session.

Most statements are done at once. Some are held: their transaction stays open while others go
on, so that these meet its locks, and a row that was changed under them when they go on. A
statement that waits for a lock waits in a thread, and is over once PostgreSQL says so.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2

from app.store.database import (
    CONNECTION,
    SESSION_SETTINGS,
    WORKER_SETTINGS,
    Database,
    PooledSession,
)
from app.store.executions import ExecutionTable
from app.store.line import Line
from app.store.session import Row, Statement
from tests.simulation.books import SignalRow, State, StepClaim
from tests.simulation.nodes import FLOWS
from tests.simulation.scheduler import Scheduler, Task

#: One statement that writes in so many is held.
HELD_ONE_IN = 3
#: Others have so many turns before its commit, at most.
HELD_TURNS = 8
#: Between two looks at whether a statement waits for a lock (s).
LOOK_S = 0.0002

_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE)\b")
_CLOCK = Path(__file__).with_name("clock.sql")

#: The simulated clock comes before PostgreSQL's own; how slow this machine is decides nothing.
SIMULATED = {
    "search_path": "sim,public,pg_catalog",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "60s",
}


def opened_with(settings: Mapping[str, str]) -> dict[str, Any]:
    """What a connection of production is opened with, in simulated time."""
    given = {**settings, **SIMULATED}.items()
    return {**CONNECTION, "options": " ".join(f"-c {name}={value}" for name, value in given)}


class PostgresStore:
    """A migrated database with the simulated clock; lent to one world after another."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.beside = psycopg2.connect(url, **opened_with({}))
        self.beside.autocommit = True
        self.spare: dict[type, list[Any]] = {RealLine: [], RealPooled: []}
        self.threads = ThreadPoolExecutor(16)
        self.run(_CLOCK.read_text())
        self.run(
            "INSERT INTO chaingraph_flows (id, owner_id, name, version) SELECT *"
            " FROM unnest(%s) AS id, (VALUES ('local', '', 1)) AS more",
            list(FLOWS),
        )
        documents = [json.dumps(document) for document in FLOWS.values()]
        self.run(
            "INSERT INTO chaingraph_flow_versions (flow_id, version, document)"
            " SELECT id, 1, document::json FROM unnest(%s, %s) AS new(id, document)",
            list(FLOWS),
            documents,
        )
        self._tables = [
            row[0]
            for row in self.run(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                " AND tablename LIKE 'chaingraph_%%' AND tablename NOT LIKE 'chaingraph_flow%%'"
            )
        ]

    def run(self, statement: str, *args: object) -> list[tuple[Any, ...]]:
        """Run a statement from beside."""
        with self.beside.cursor() as cursor:
            cursor.execute(statement, args or None)
            return cursor.fetchall() if cursor.description else []

    def connection(self, kind: type[RealLine | RealPooled]) -> RealLine | RealPooled:
        """A connection, of an earlier world if there is one."""
        return self.spare[kind].pop() if self.spare[kind] else kind(self.url)

    def world(self, scheduler: Scheduler) -> PostgresBackend:
        """Empty the tables and give them to a world."""
        for table in self._tables:
            self.run(f"DELETE FROM {table}")
        self.run("SELECT setval('sim.micros', 0), setval('sim.starts', 0)")
        return PostgresBackend(self, scheduler)

    def close(self) -> None:
        for each in (*self.spare[RealLine], *self.spare[RealPooled]):
            each.close()
        self.beside.close()
        self.threads.shutdown()


class RealLine(Line):
    """A connection of one's own that outlives its world."""

    def __init__(self, url: str) -> None:
        super().__init__(url, **opened_with(WORKER_SETTINGS))
        self.texts: dict[str, str] = {}

    def _execute(self, statement: Statement, args: Sequence[object]) -> list[Row]:
        if _is_another(self, statement):
            self._prepared.pop(statement.name)
        return super()._execute(statement, args)


class RealPooled(PooledSession):
    """A connection of the pool that outlives its world."""

    def __init__(self, url: str) -> None:
        connection = psycopg2.connect(url, **opened_with(SESSION_SETTINGS))
        connection.autocommit = True
        super().__init__(connection, set())
        self.texts: dict[str, str] = {}

    def _execute(self, statement: Statement, args: Sequence[object]) -> list[Row]:
        if _is_another(self, statement):
            self._prepared.remove(statement.name)
        return super()._execute(statement, args)


def _is_another(real: RealLine | RealPooled, statement: Statement) -> bool:
    """Whether the statement had another text in an earlier world: it is prepared no more."""
    is_another = real.texts.get(statement.name, statement.sql) != statement.sql
    if is_another:
        real._command(f"DEALLOCATE {statement.name}")
    real.texts[statement.name] = statement.sql
    return is_another


class PostgresBackend:
    """One world's PostgreSQL."""

    def __init__(self, store: PostgresStore, scheduler: Scheduler) -> None:
        self.store = store
        self.scheduler = scheduler
        self.sessions: set[PostgresSession] = set()
        #: Transactions that are open, and what waits in threads: for which task, of which backend.
        self.open_transactions = 0
        self.waiting: dict[Future[Any], tuple[Task, int]] = {}
        self._states: dict[str, State] | None = None
        self._micros = 0
        # Its reads, which SQLAlchemy makes, go through a pool of one.
        self._reading = Database(store.url, pool_size=1)

    # -- for processes

    def open(self, *, pooled: bool) -> PostgresSession:
        real = self.store.connection(RealPooled if pooled else RealLine)
        session = PostgresSession(self, real)
        self.sessions.add(session)
        return session

    def reading(self) -> Any:
        return self._reading.reading()

    def table(self, database: Any) -> ExecutionTable:
        return ExecutionTable(database)

    def restart(self) -> None:
        """Locks that were taken before prove nothing any more. The sessions are cut already."""
        self.store.run("SELECT nextval('sim.starts')")

    def set_clock(self) -> None:
        """Bring the server's clock to the world's."""
        micros = round(self.scheduler.now * 1_000_000)
        if micros != self._micros:
            self._micros = micros
            self.store.run("SELECT setval('sim.micros', %s)", micros)

    def changed(self) -> None:
        """What was read before may be old."""
        self._states = None

    def settle(self) -> None:
        """Wait until what waits in threads is done, or waits for a lock again."""
        for future, (task, pid) in list(self.waiting.items()):
            if self.is_done(future, pid):
                del self.waiting[future]
                self.scheduler.wake(task)

    def is_done(self, future: Future[Any], pid: int) -> bool:
        """Whether a statement in a thread is over; False once it waits for a lock."""
        while not future.done():
            blockers = self.store.run("SELECT cardinality(pg_blocking_pids(%s))", pid)
            if blockers[0][0] and not future.done():
                return False
            time.sleep(LOOK_S)
        return True

    # -- for who looks from beside

    def states(self) -> dict[str, State]:
        if self._states is None:
            columns = ", ".join(State._fields)
            rows = self.store.run(f"SELECT id, {columns} FROM chaingraph_executions ORDER BY id")
            self._states = {id_: State(*rest) for id_, *rest in rows}
        return self._states

    def batches(self, execution_id: str, after: int) -> list[tuple[int, list[str], Any]]:
        return self.store.run(  # type: ignore[return-value]
            "SELECT first_index, types, data FROM chaingraph_event_batches"
            " WHERE execution_id = %s AND first_index > %s ORDER BY first_index",
            execution_id,
            after,
        )

    def checkpoints(self, execution_id: str) -> dict[str, tuple[str, int]]:
        rows = self.store.run(
            "SELECT node_id, status, attempt FROM chaingraph_checkpoints WHERE execution_id = %s",
            execution_id,
        )
        return {node: (status, attempt) for node, status, attempt in rows}

    def steps(self, execution_id: str) -> list[StepClaim]:
        rows = self.store.run(
            "SELECT node_id, coalesce(attempt, 0), epoch, status, result IS NOT NULL"
            " FROM chaingraph_execution_claims WHERE execution_id = %s AND node_id <> ''"
            " ORDER BY node_id",
            execution_id,
        )
        return [StepClaim(*row) for row in rows]

    def signals(self, execution_id: str) -> list[SignalRow]:
        rows = self.store.run(
            "SELECT id, payload, node_id, taken_at, timed_out FROM chaingraph_signals"
            " WHERE execution_id = %s ORDER BY id",
            execution_id,
        )
        return [SignalRow(*row) for row in rows]

    def close(self) -> None:
        for session in list(self.sessions):
            session.close()
        self._reading.engine.dispose()


class PostgresSession:
    """The server's side of one session."""

    is_atomic = False

    def __init__(self, backend: PostgresBackend, real: RealLine | RealPooled) -> None:
        self._backend = backend
        self._real = real
        self._is_in_transaction = False
        self._is_over = False

    def execute(self, statement: Statement, *args: object) -> list[Row]:
        self._backend.set_clock()
        if not _WRITES.search(statement.sql):
            return self._real._execute(statement, args)
        self._backend.changed()
        if self._is_in_transaction:
            return self._meet_locks(statement, args)
        random = self._backend.scheduler.random
        if self._backend.open_transactions or not random.randrange(HELD_ONE_IN):
            return self._hold(statement, args)
        return self._real._execute(statement, args)

    def command(self, text: str) -> None:
        if text == "BEGIN":
            self._real._command(text)
            self._is_in_transaction = True
            self._backend.open_transactions += 1
        elif self._is_in_transaction:
            if not self._real.lost:
                self._real._command(text)
            self._is_in_transaction = False
            self._backend.open_transactions -= 1
            self._backend.changed()
            self._backend.settle()

    def _hold(self, statement: Statement, args: tuple[object, ...]) -> list[Row]:
        """Do a statement, and let others come before its commit."""
        self.command("BEGIN")
        try:
            rows = self._meet_locks(statement, args)
        except BaseException:
            self.command("ROLLBACK")
            raise
        for _ in range(self._backend.scheduler.random.randrange(HELD_TURNS)):
            self._backend.scheduler.point()
        self.command("COMMIT")
        return rows

    def _meet_locks(self, statement: Statement, args: tuple[object, ...]) -> list[tuple[Any, ...]]:
        backend = self._backend
        future = backend.store.threads.submit(self._real._execute, statement, args)
        if not backend.is_done(future, self._real.backend_pid):
            task = backend.scheduler.current
            backend.scheduler.note(f"{task.name} waits for a lock")
            backend.waiting[future] = (task, self._real.backend_pid)
            try:
                backend.scheduler.block()
            except BaseException:
                # The world ends amid this: nobody else may use the connection before the thread.
                backend.store.run("SELECT pg_cancel_backend(%s)", self._real.backend_pid)
                future.exception()
                raise
        return future.result()

    def close(self) -> None:
        """The session ends: its locks are free, its connection is the next one's."""
        if self._is_over:
            return
        self._is_over = True
        self._backend.sessions.discard(self)
        self.command("ROLLBACK")
        if not self._real.lost:
            # A statement that was cancelled has closed it.
            self._real._command("SELECT pg_advisory_unlock_all()")
            self._backend.store.spare[type(self._real)].append(self._real)
