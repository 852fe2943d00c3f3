"""What the stack's PostgreSQL says: what is done, what it counted, what it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg2

#: Is anything left to do? Both look into partial indexes that are empty when nothing is.
_IS_BUSY = """
    SELECT EXISTS (SELECT 1 FROM chaingraph_executions WHERE runnable_at IS NOT NULL)
        OR EXISTS (SELECT 1 FROM chaingraph_execution_claims WHERE status = 'active')
"""

#: (flow, since): how many were created since, how many of them completed, and when the last.
_DONE = """
    SELECT count(*), count(*) FILTER (WHERE status = 'completed'),
        extract(epoch FROM max(completed_at))::float
    FROM chaingraph_executions WHERE flow_id = %s AND created_at >= to_timestamp(%s)
"""

#: How many workers are registered and beat.
_WORKERS = """
    SELECT count(*) FROM chaingraph_workers
    WHERE parent_worker_id IS NULL
        AND last_heartbeat_at > clock_timestamp() - lease_ms * interval '1 ms'
"""

#: (database): committed and rolled back transactions, and two marks of the whole server.
_COUNTED = """
    SELECT xact_commit + xact_rollback, pg_current_xact_id()::text::bigint,
        pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint
    FROM pg_stat_database WHERE datname = %s
"""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of the executions of a flow; `ended` is seconds since 1970."""

    created: int
    completed: int
    ended: float


@dataclass(frozen=True, slots=True)
class Counters:
    """Running totals: transactions, those that wrote, bytes of WAL."""

    transactions: int
    writing: int
    wal_bytes: int


class Database:
    """One connection in autocommit, which counts its own transactions."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked = 0
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True

    def ask(self, statement: str, *args: object) -> tuple[Any, ...]:
        """The one row that a statement gives."""
        self.asked += 1
        with self._connection.cursor() as cursor:
            cursor.execute(statement, args or None)
            row: tuple[Any, ...] = cursor.fetchall()[0]
        return row

    def run(self, statement: str) -> None:
        """Carry out a statement that gives no rows."""
        self.asked += 1
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    @property
    def name(self) -> str:
        """The database's name."""
        return self._connection.info.dbname

    def url_of(self, name: str) -> str:
        """The URL of another database of the server."""
        before, _, parameters = self.url.partition("?")
        return f"{before.rpartition('/')[0]}/{name}?{parameters}"

    def is_busy(self) -> bool:
        """Whether any execution runs or could run."""
        return bool(self.ask(_IS_BUSY)[0])

    def done(self, flow_id: str, since: float) -> Done:
        """What became of a flow's executions that were created since."""
        created, completed, ended = self.ask(_DONE, flow_id, since)
        return Done(created, completed, ended or 0.0)

    def workers(self) -> int:
        """How many workers are alive."""
        return int(self.ask(_WORKERS)[0])

    def counters(self, database: str) -> Counters:
        """Running totals; of the server but for the first, which is of one database."""
        return Counters(*self.ask(_COUNTED, database))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
