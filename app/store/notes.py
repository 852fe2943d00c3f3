"""Notes of who did what to an execution, where executions have a database of their own.

Each is written there by the statement that does it, so that one is never there without the other,
and moved to chaingraph_audit of DATABASE_URL afterwards: deleted here in a transaction that
commits once it is there. Whoever dies in between moves it again, and finds it there.
"""

from __future__ import annotations

from app.errors import StoreUnavailable
from app.store.retention_statements import FORGET_AUDIT
from app.store.session import Statement
from app.store.sessions import Sessions, StatementSession

#: (limit): take the oldest that were not moved before.
TAKE = Statement(
    "take_notes",
    "int",
    """
    WITH oldest AS MATERIALIZED (
        SELECT id FROM chaingraph_audit WHERE source_id IS NULL
        ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
    )
    DELETE FROM chaingraph_audit AS a USING oldest WHERE a.id = oldest.id
    RETURNING a.id, a.at, a.owner_id, a.token_id, a.action, a.subject_kind, a.subject_id
    """,
)

#: (ids, times, who, tokens, actions, kinds, subjects): keep those that are not there.
KEEP = Statement(
    "keep_notes",
    "bigint[], timestamptz[], text[], text[], text[], text[], text[]",
    """
    INSERT INTO chaingraph_audit
        (source_id, at, owner_id, token_id, action, subject_kind, subject_id)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (source_id, at) WHERE source_id IS NOT NULL DO NOTHING
    """,
)


class NoteStore:
    """Moves notes from the executions' database to the flows'. For one thread.

    On two connections of its own, opened at the first use and anew after a loss.
    """

    def __init__(self, executions: Sessions, flows: Sessions) -> None:
        self._databases = (executions, flows)
        self._sessions: list[StatementSession] = []

    def move(self, limit: int) -> int:
        """Move the oldest, at most `limit`; gives how many. Raises StoreUnavailable."""
        try:
            executions, flows = self._opened()
            return executions.transact(lambda: _move(executions, flows, limit))
        except StoreUnavailable:
            self.close()
            raise

    def forget(self, days: int, limit: int) -> int:
        """Delete what was noted so many days ago, of the lowest `limit` numbers; gives how many.

        Raises StoreUnavailable.
        """
        try:
            _, flows = self._opened()
            return int(flows.execute(FORGET_AUDIT, days, limit)[0][0])
        except StoreUnavailable:
            self.close()
            raise

    def filenos(self) -> list[int]:
        """The connections' file descriptors: a forked child must close its copies."""
        found = [session.fileno() for session in self._sessions]
        return [fileno for fileno in found if fileno is not None]

    def close(self) -> None:
        """Close the connections; the next move opens others."""
        sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    def _opened(self) -> list[StatementSession]:
        if any(session.lost for session in self._sessions):
            self.close()
        for database in self._databases[len(self._sessions) :]:
            self._sessions.append(database.open())
        return self._sessions


def _move(executions: StatementSession, flows: StatementSession, limit: int) -> int:
    rows = sorted(executions.execute(TAKE, limit))
    if rows:
        flows.execute(KEEP, *map(list, zip(*rows, strict=True)))
    return len(rows)
