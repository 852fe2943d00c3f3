"""A database in this process, that answers the statements of app.store as PostgreSQL does.

The classes of app.store run on it as they are: PgRunStore, PgLeaseStore, PgSweepStore,
EventLog, FlowStore. Each statement is one atomic step. A scheduler may come between any two
of them: `before` and `after` are called with the statement's name around each, on the thread
that executes it, and a StoreUnavailable that one raises is a connection that broke before or
after the commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from app.errors import StoreUnavailable
from app.local import (
    api_statements,
    bulk_statements,
    census_statements,
    command_statements,
    commanded_statements,
    deadline_statements,
    family_statements,
    fork_statements,
    key_statements,
    note_statements,
    retention_statements,
    run_statements,
    secret_statements,
    signal_statements,
    slot_statements,
    step_statements,
    sweep_statements,
    takeover_statements,
    token_statements,
)
from app.local.guards import Guards
from app.local.rows import Tables
from app.local.turn import Handler, Turn
from app.store.session import Statement

T = TypeVar("T")

#: What a hook is told where no statement is executed.
CONNECT = "connect"
TRANSACTION = "transaction"
READING = "reading"

Hook = Callable[[str], object]

HANDLERS: Mapping[str, Handler] = {
    **run_statements.HANDLERS,
    **family_statements.HANDLERS,
    **fork_statements.HANDLERS,
    **step_statements.HANDLERS,
    **sweep_statements.HANDLERS,
    **slot_statements.HANDLERS,
    **deadline_statements.HANDLERS,
    **api_statements.HANDLERS,
    **key_statements.HANDLERS,
    **retention_statements.HANDLERS,
    **bulk_statements.HANDLERS,
    **command_statements.HANDLERS,
    **commanded_statements.HANDLERS,
    **takeover_statements.HANDLERS,
    **token_statements.HANDLERS,
    **census_statements.HANDLERS,
    **note_statements.HANDLERS,
    **signal_statements.HANDLERS,
    **secret_statements.HANDLERS,
}


class MemoryDatabase:
    """Tables, and the sessions of whoever uses them. From any thread.

    `now` gives the time, aware and in UTC: statements write and compare no other.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        before: Hook | None = None,
        after: Hook | None = None,
        guards: Guards | None = None,
    ) -> None:
        self.now = now
        self.before: Hook = before or _do_nothing
        self.after: Hook = after or _do_nothing
        self.guards = guards or Guards()
        self.tables = Tables()
        #: When the server started: a lock that was taken under another one proves nothing.
        self.started_at = now()
        #: The advisory locks that are held, each by its session.
        self.locks: dict[int, MemorySession] = {}
        self.mutex = threading.RLock()
        self._open: set[MemorySession] = set()

    def open(self) -> MemorySession:
        """Open a session of one's own. Raises StoreUnavailable where a hook does."""
        self.before(CONNECT)
        session = MemorySession(self)
        with self.mutex:
            self._open.add(session)
        return session

    @contextmanager
    def session(self) -> Iterator[MemorySession]:
        """Lend a session."""
        session = self.open()
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def reading(self) -> Iterator[Tables]:
        """Lend the tables, for the API's reads: one step. Raises StoreUnavailable."""
        self.before(READING)
        with self.mutex:
            yield self.tables
        self.after(READING)

    def end(self, session: MemorySession) -> None:
        """The server notices that a connection is gone, and frees its locks."""
        with self.mutex:
            self._open.discard(session)
            for key in [key for key, holder in self.locks.items() if holder is session]:
                del self.locks[key]

    def restart(self) -> None:
        """Do as a server that is started anew: every session is gone, the tables are kept."""
        with self.mutex:
            for session in list(self._open):
                session.cut()
            self.started_at = self.now()


class MemorySession:
    """One connection to a database in this process."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._is_cut = False
        self._is_lost = False
        self._is_in_transaction = False

    def execute(self, statement: Statement, *args: object) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own and give its rows.

        Raises StoreUnavailable where the session is closed or a hook raises it.
        """
        if self._is_in_transaction:
            return self._answer(statement, args)
        database = self._database
        database.before(statement.name)
        rows = self._answer(statement, args)
        database.after(statement.name)
        return rows

    def _answer(self, statement: Statement, args: tuple[object, ...]) -> list[tuple[Any, ...]]:
        database = self._database
        with database.mutex:
            if self._is_cut or self._is_lost:
                self._is_lost = True
                raise StoreUnavailable("the connection is closed")
            turn = Turn(
                database.tables,
                database.guards,
                database.now(),
                self,
                database.locks,
                database.started_at,
            )
            return HANDLERS[statement.name](turn, *args)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the statements of the block as one step. What it did stays where it raises."""
        database = self._database
        database.before(TRANSACTION)
        with database.mutex:
            self._is_in_transaction = True
            try:
                yield
            finally:
                self._is_in_transaction = False
        database.after(TRANSACTION)

    def transact(self, work: Callable[[], T]) -> T:
        """Run `work` with its statements as one step."""
        with self.transaction():
            return work()

    def fileno(self) -> int | None:
        """There is none."""
        return None

    @property
    def lost(self) -> bool:
        """Whether the session is closed."""
        return self._is_lost

    @property
    def is_pooled(self) -> bool:
        """It isn't."""
        return False

    def cut(self) -> None:
        """Break the connection, as the server's end does; the client learns it by using it."""
        self._is_cut = True
        self._database.end(self)

    def close(self) -> None:
        """Close the session; its locks are free."""
        self._is_lost = True
        self._database.end(self)


def _do_nothing(_name: str) -> None:
    """Nobody comes between."""
