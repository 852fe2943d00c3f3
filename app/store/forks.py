"""Forks: executions that begin with checkpoints of another, made in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.caller import Caller
from app.store.audit import BY_TYPES, by, noted
from app.store.executions import CREATE, columns_of
from app.store.keys import CREATE_KEYED, RequestKey
from app.store.records import Fork, NewExecution
from app.store.session import Statement
from app.store.sessions import Sessions, StatementSession

#: (execution): have retention leave it alone until the transaction ends; its owner writes on.
HOLD_SOURCE = Statement(
    "hold_fork_source",
    "text",
    "SELECT id FROM chaingraph_executions WHERE id = $1 FOR KEY SHARE",
)

#: (fork, source, nodes, completed, failed, skipped, who, token): give a new execution the
#: checkpoints of nodes that have ended in another, and what they gave before. They never change
#: there, whatever its owner does meanwhile.
TAKE_OVER = Statement(
    "take_over_checkpoints",
    "text, text, text[], int, int, int" + BY_TYPES,
    f"""
    WITH fork AS (
        UPDATE chaingraph_executions
        SET forked_from = $2, nodes_completed = $4, nodes_failed = $5, nodes_skipped = $6
        WHERE id = $1
        RETURNING id
    ), taken AS (
        INSERT INTO chaingraph_checkpoints
            (execution_id, node_id, seq, status, attempt, started_at, completed_at,
             execution_time_ms, worker_id, outputs, chosen, error)
        SELECT $1, node_id, seq, status, attempt, started_at, completed_at,
            execution_time_ms, worker_id, outputs, chosen, error
        FROM chaingraph_checkpoints WHERE execution_id = $2 AND node_id = ANY ($3)
    ), given AS (
        INSERT INTO chaingraph_resolutions (execution_id, seq, node_id, outputs)
        SELECT $1, seq, node_id, outputs
        FROM chaingraph_resolutions WHERE execution_id = $2 AND node_id = ANY ($3)
    ), noted AS ({noted("'fork'", "execution", "fork", 7)})
    SELECT id FROM fork
    """,
)


@dataclass(frozen=True, slots=True)
class Forked:
    """The fork is there since this time."""

    at: datetime


@dataclass(frozen=True, slots=True)
class KeyTaken:
    """Something was made under the key before, or is being made."""


@dataclass(frozen=True, slots=True)
class SourceGone:
    """The execution was deleted meanwhile."""


class ForkTable:
    """Makes forks. Every method may raise StoreUnavailable."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def create(
        self, row: NewExecution, fork: Fork, caller: Caller, key: RequestKey | None = None
    ) -> Forked | KeyTaken | SourceGone:
        """Insert the row with its first event, what it takes over, and the key, all or none.

        One in flight with the key is waited for.
        """
        with self._sessions.session() as session:
            return session.transact(lambda: _create(session, row, fork, caller, key))


def _create(
    session: StatementSession,
    row: NewExecution,
    fork: Fork,
    caller: Caller,
    key: RequestKey | None,
) -> Forked | KeyTaken | SourceGone:
    if not session.execute(HOLD_SOURCE, fork.source_id):
        return SourceGone()
    columns = columns_of([row])
    if key is None:
        created = session.execute(CREATE, *columns)
    else:
        named = (key.owner_id, key.route, key.key, key.body_hash)
        created = session.execute(CREATE_KEYED, *columns, *named)
    if not created:
        return KeyTaken()
    done = fork.progress
    session.execute(
        TAKE_OVER,
        row.id,
        fork.source_id,
        list(fork.nodes),
        done.completed,
        done.failed,
        done.skipped,
        *by(caller),
    )
    return Forked(created[0][0])
