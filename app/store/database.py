"""Connections to PostgreSQL: a pool for requests, and some of one's own.

Hot statements run in autocommit: the server commits without the client, so a process that
freezes holds no row.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import StoreUnavailable
from app.store.line import Line
from app.store.session import WHO_ANSWERS, LockedOut, Row, Session, Statement

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry

#: A connection that was idle for longer (s) is tried before it is handed out; so is one on
#: which the server has spoken unasked, which is how it says good-bye.
PING_AFTER_IDLE_S = 2.0
_PARAMETER = re.compile(r"\$(\d+)")

#: How long (s) a request waits for a connection of the pool.
POOL_WAIT_S = 5

#: What every session sets. A generic plan from the first call on: planning is most of the
#: cost of these statements. The check interval lets the server notice a dead client while it
#: waits for a lock, so that the client's own locks go at once.
SESSION_SETTINGS = {
    "timezone": "UTC",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "5s",
    "client_connection_check_interval": "500ms",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
#: What a worker's statements are planned with: each of them looks rows up by an index. Without
#: statistics, or for a LIMIT that a generic plan doesn't know, the planner would scan tables.
WORKER_SETTINGS = {
    **SESSION_SETTINGS,
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

#: What every connection is opened with.
CONNECTION: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class PooledSession(Session):
    """A connection of the pool, through psycopg2."""

    def __init__(
        self,
        connection: psycopg2.extensions.connection,
        prepared: set[str],
        *,
        is_pooled: bool = False,
    ) -> None:
        self.connection = connection
        self.is_pooled = is_pooled
        self._prepared = prepared
        self._cursor = connection.cursor()

    def _execute(self, statement: Statement, args: Sequence[object]) -> list[Row]:
        if self.is_pooled:
            self._run(*_written_out(statement, args))
        else:
            self._execute_prepared(statement, args)
        return self._cursor.fetchall() if self._cursor.description else []

    def _execute_prepared(self, statement: Statement, args: Sequence[object]) -> None:
        if statement.name not in self._prepared:
            types = f"({statement.types})" if statement.types else ""
            self._run(f"PREPARE {statement.name} {types} AS {statement.sql}")
            self._prepared.add(statement.name)
        marks = f"({', '.join(['%s'] * len(args))})" if args else ""
        self._run(f"EXECUTE {statement.name} {marks}", args)

    def _command(self, text: str) -> None:
        self._run(text)

    def _run(self, text: str, args: Sequence[object] | Mapping[str, object] | None = None) -> None:
        try:
            self._cursor.execute(text, args)
        except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected) as error:
            raise LockedOut(str(error).strip()) from error
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise StoreUnavailable(str(error).strip()) from error

    @property
    def lost(self) -> bool:
        """Whether the connection is known to be gone."""
        return bool(self.connection.closed)

    @property
    def backend_pid(self) -> int:
        """The process that serves the connection."""
        return int(self.connection.info.backend_pid)

    def fileno(self) -> int:
        """The connection's file descriptor."""
        return int(self.connection.fileno())

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


class Database:
    """PostgreSQL as one process sees it: a pool for requests, and connections of one's own.

    `url` is a libpq URI. Nothing is opened before the first use, so that it may be made
    before a fork. `on_locked_out` hears of each statement that a lock held up.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 20,
        application_name: str = "cg",
        on_locked_out: Callable[[], object] | None = None,
    ) -> None:
        self.url = url
        self.application_name = application_name
        self._on_locked_out = on_locked_out
        self.engine = self._make_engine(pool_size)

    def _make_engine(self, pool_size: int) -> Engine:
        engine = create_engine(
            make_url("postgresql+psycopg2://"),
            creator=self.connect,
            isolation_level="AUTOCOMMIT",
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_S,
            pool_use_lifo=True,
            # Statements are written by hand and prepared; JSON stays text until it is asked for.
            json_deserializer=lambda text: text,
        )
        event.listen(engine, "checkin", _note_checkin)
        event.listen(engine, "checkout", _ping_if_idle)
        return engine

    def connect(self) -> psycopg2.extensions.connection:
        """Open a connection in autocommit. Raises psycopg2.OperationalError."""
        connection: psycopg2.extensions.connection = psycopg2.connect(
            self.url, **self._parameters(SESSION_SETTINGS)
        )
        connection.autocommit = True
        return connection

    def open(self) -> Session:
        """Open a session of one's own, outside the pool. Raises StoreUnavailable."""
        line = Line(self.url, **self._parameters(WORKER_SETTINGS))
        line.on_locked_out = self._on_locked_out
        return line

    def _parameters(self, settings: Mapping[str, str]) -> dict[str, Any]:
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        return {**CONNECTION, "options": options, "application_name": self.application_name}

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend a session of the pool. Raises StoreUnavailable."""
        try:
            lent = self.engine.raw_connection()
        except (DBAPIError, psycopg2.OperationalError, PoolTimeout) as error:
            raise StoreUnavailable(str(error).strip()) from error
        try:
            driver: Any = lent.driver_connection
            driver.autocommit = True
            if "is_pooled" not in lent.info:
                lent.info["is_pooled"] = _is_pooled(driver)
            session = PooledSession(
                driver, lent.info.setdefault("prepared", set()), is_pooled=lent.info["is_pooled"]
            )
            session.on_locked_out = self._on_locked_out
            yield session
        except StoreUnavailable:
            if lent.is_valid and driver.closed:
                lent.invalidate()
            raise
        finally:
            lent.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a SQLAlchemy connection of the pool, for the API's reads.

        Raises StoreUnavailable.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except PoolTimeout as error:
            raise StoreUnavailable(str(error)) from error
        except DBAPIError as error:
            if isinstance(error.orig, psycopg2.OperationalError | psycopg2.InterfaceError):
                raise StoreUnavailable(str(error.orig).strip()) from error
            raise
        except psycopg2.OperationalError as error:
            raise StoreUnavailable(str(error).strip()) from error

    def warm_up(self, count: int) -> None:
        """Have so many connections of the pool open. Raises StoreUnavailable."""
        with ExitStack() as lent:
            for _ in range(count):
                lent.enter_context(self.session())


def _is_pooled(connection: Any) -> bool:
    """Whether a pooler stands before the server. Raises StoreUnavailable."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(WHO_ANSWERS)
            return bool(cursor.fetchone()[0] != connection.info.backend_pid)
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise StoreUnavailable(str(error).strip()) from error


def _written_out(statement: Statement, args: Sequence[object]) -> tuple[str, dict[str, object]]:
    """A statement with its parameters in its text, each of its type, for one that isn't prepared."""
    types = statement.type_names
    text = _PARAMETER.sub(
        lambda found: f"%(p{found[1]})s::{types[int(found[1]) - 1]}",
        statement.sql.replace("%", "%%"),
    )
    return text, {f"p{place}": value for place, value in enumerate(args, 1)}


def _note_checkin(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["idle_since"] = time.monotonic()


def _ping_if_idle(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    idle_since = record.info.get("idle_since")
    if idle_since is None:
        return
    if time.monotonic() - idle_since < PING_AFTER_IDLE_S and not _has_news(connection):
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise DisconnectionError(str(error)) from error


def _has_news(connection: Any) -> bool:
    """Whether something came, the end of the connection too. Asks the kernel, not the server."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
