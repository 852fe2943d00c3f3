"""Commands to many executions: recorded in one statement, carried out in batches, each once.

A recorded command is deleted by the transaction that carries it out, so a crash in between
leaves it to whoever looks next: the call that recorded it, or the sweep.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.caller import Caller
from app.store.audit import by
from app.store.commands import PgCommandStore
from app.store.endings import OuterEnding, end_tree
from app.store.executions import REQUEST_START
from app.store.records import Effect
from app.store.session import Statement
from app.store.sessions import Sessions, StatementSession

Action = Literal["start", "pause", "resume", "stop"]

#: After these an execution moves on.
_MOVING = frozenset({"start", "resume"})

#: How many commands one transaction carries out: its rows are locked meanwhile.
COMMAND_BATCH = 20

#: The reasons that these give: the call takes none.
PAUSED = "paused by user"
STOPPED = "stopped by user"


def _record(name: str, which: str) -> Statement:
    return Statement(
        name,
        "text, text, text[], text, text[], text",
        f"""
    WITH matched AS MATERIALIZED (
        SELECT id, created_at, CASE $2
            WHEN 'start' THEN status = 'created' AND start_requested_at IS NULL
            WHEN 'pause' THEN status = 'running'
            WHEN 'resume' THEN status = 'paused'
                OR (status = 'running' AND coalesce(requested = 'pause', false))
            WHEN 'stop' THEN completed_at IS NULL END AS is_allowed
        FROM chaingraph_executions
        WHERE owner_id = $1 AND ($3 IS NULL OR status = ANY ($3)) AND {which}
    ), recorded AS (
        INSERT INTO chaingraph_bulk_commands (execution_id, action)
        SELECT id, $2 FROM matched WHERE is_allowed ORDER BY created_at, id
        RETURNING id
    ), noted AS (
        INSERT INTO chaingraph_audit (owner_id, token_id, action, subject_kind, subject_id)
        SELECT $1, $6, $2, 'execution', id FROM matched WHERE is_allowed
    )
    SELECT (SELECT count(*) FROM matched), (SELECT count(*) FROM recorded)
    """,
    )


#: (owner, action, statuses or null, flow or null, ids or null, token): record a command to those of an
#: owner's executions that pass the filter and are in a status that allows it.
RECORD = _record("record_bulk", "$4 IS NULL AND $5 IS NULL")
#: The same, of one flow: read by its index.
RECORD_FLOW = _record("record_bulk_of_flow", "flow_id = $4 AND $5 IS NULL")
#: The same, by their ids.
RECORD_IDS = _record("record_bulk_of_ids", "id = ANY ($5) AND ($4 IS NULL OR flow_id = $4)")

#: (limit): take the oldest commands, of each execution the first alone: two to one execution
#: never change places. Without OFFSET it would be joined, and the whole table read.
TAKE = Statement(
    "take_bulk_commands",
    "int",
    """
    WITH first AS MATERIALIZED (
        SELECT id FROM chaingraph_bulk_commands AS b
        WHERE NOT EXISTS (
            SELECT 1 FROM chaingraph_bulk_commands AS earlier
            WHERE earlier.execution_id = b.execution_id AND earlier.id < b.id OFFSET 0)
        ORDER BY id LIMIT $1
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM chaingraph_bulk_commands AS b USING first WHERE b.id = first.id
    RETURNING b.execution_id, b.action
    """,
)


@dataclass(frozen=True, slots=True)
class BulkFilter:
    """Which executions a command is for; what is None doesn't matter."""

    statuses: Sequence[str] | None = None
    flow_id: str | None = None
    ids: Sequence[str] | None = None


class Recorded(NamedTuple):
    """How many executions passed the filter, and to how many of them a command was recorded."""

    matched: int
    accepted: int


class Done(NamedTuple):
    """What a command did to one execution; where the status forbade it by now, there is none."""

    action: Action
    effect: Effect


class Batch(NamedTuple):
    """Commands that were carried out together: how many, and what they did."""

    size: int
    done: Sequence[Done]

    def runnable(self) -> Sequence[str]:
        """Which executions may be claimed now."""
        return [done.effect.execution_id for done in self.done if done.action in _MOVING]


class BulkStore:
    """Commands to many executions. Every method may raise StoreUnavailable."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def record(self, caller: Caller, action: Action, wanted: BulkFilter) -> Recorded:
        """Record a command to all of the caller's that pass the filter and are in a status that allows it."""
        statement = RECORD if wanted.flow_id is None else RECORD_FLOW
        if wanted.ids is not None:
            statement = RECORD_IDS
        statuses = None if wanted.statuses is None else list(wanted.statuses)
        ids = None if wanted.ids is None else list(wanted.ids)
        with self._sessions.session() as session:
            rows = session.execute(
                statement, caller.owner_id, action, statuses, wanted.flow_id, ids, caller.token_id
            )
        return Recorded(*rows[0])

    def carry_out(self, limit: int) -> Batch:
        """Carry out the oldest commands, at most `limit`; none are left where it is empty."""
        with self._sessions.session() as session:
            return carry_out(session, limit)


def carry_out(session: StatementSession, limit: int) -> Batch:
    """Carry out the oldest commands in one transaction, at most `limit`."""

    def work() -> Batch:
        # In one order, so that two who do this at once wait rather than deadlock.
        taken = sorted(session.execute(TAKE, limit))
        return Batch(len(taken), list(_do(session, taken)))

    return session.transact(work)


def _do(session: StatementSession, taken: Sequence[tuple[str, Action]]) -> Iterator[Done]:
    commands = PgCommandStore(_Joined(session))
    for execution_id, action in taken:
        match action:
            case "start" if session.execute(REQUEST_START, execution_id, *by(None), None):
                yield Done(action, Effect(execution_id))
            case "pause" if effect := commands.pause(execution_id, PAUSED):
                yield Done(action, effect)
            case "resume" if effect := commands.resume(execution_id):
                yield Done(action, effect)
    if stops := [execution_id for execution_id, action in taken if action == "stop"]:
        for effect in end_tree(session, stops, OuterEnding("stopped", STOPPED)):
            yield Done("stop", effect)


class _Joined:
    """Lends a session that has its transaction open: what it is used for is a part of that."""

    def __init__(self, session: StatementSession) -> None:
        self._session = session

    def open(self) -> StatementSession:
        """Give the session."""
        return self._session

    @contextmanager
    def session(self) -> Iterator[StatementSession]:
        """Lend the session."""
        yield self._session
