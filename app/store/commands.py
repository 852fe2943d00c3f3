"""Commands on PostgreSQL: each is durable once its method has returned."""

from __future__ import annotations

from datetime import datetime

from app.caller import Caller
from app.store.audit import NOTE_STOP, by
from app.store.command_statements import (
    PAUSE,
    REQUEST_PAUSE,
    REQUEST_STEP,
    RESUME,
    STANDING,
    WITHDRAW_PAUSE,
)
from app.store.endings import OuterEnding, end_tree
from app.store.records import Effect, Told
from app.store.run_statements import NOW
from app.store.session import Statement
from app.store.sessions import Sessions, StatementSession
from app.store.step_statements import WAKE


class PgCommandStore:
    """The commands, on connections of the pool; see CommandStore."""

    def __init__(self, database: Sessions) -> None:
        self._database = database

    def pause(self, execution_id: str, reason: str, caller: Caller | None = None) -> Effect | None:
        """Pause a running execution; None where the status forbids it."""
        with self._database.session() as session:
            while True:
                requested = session.execute(REQUEST_PAUSE, execution_id, reason, *by(caller))
                if requested:
                    return _asked(execution_id, requested[0][0])
                done = _told(session, PAUSE, execution_id, reason, *by(caller))
                if done is not None:
                    return done
                # Neither: it was claimed, parked or commanded in between, or is not running.
                [(status, command)] = session.execute(STANDING, execution_id) or [(None, None)]
                if status != "running":
                    return None
                if command is not None:
                    return Effect(execution_id)

    def resume(self, execution_id: str, caller: Caller | None = None) -> Effect | None:
        """Have a paused execution go on, or withdraw a pause; None where there is neither."""
        with self._database.session() as session:
            withdrawn = session.execute(WITHDRAW_PAUSE, execution_id, *by(caller))
            if withdrawn:
                return _asked(execution_id, withdrawn[0][0])
            resumed = _told(session, RESUME, execution_id, *by(caller))
            if resumed is not None:
                return resumed
            # The pause may have become effective in between, or have been requested.
            withdrawn = session.execute(WITHDRAW_PAUSE, execution_id, *by(caller))
            return _asked(execution_id, withdrawn[0][0]) if withdrawn else None

    def step(self, execution_id: str, writes: int, caller: Caller | None = None) -> Effect | None:
        """Have a paused execution run one node, if `writes` is its count of writes."""
        with self._database.session() as session:
            return _told(session, REQUEST_STEP, execution_id, writes, *by(caller))

    def now(self) -> datetime:
        """The store's time, in milliseconds."""
        with self._database.session() as session:
            at: datetime = session.execute(NOW)[0][0]
        return at

    def stop(self, execution_id: str, reason: str, caller: Caller | None = None) -> list[Effect]:
        """Stop an execution and all that descends from it; gives what was stopped, it first."""
        ending = OuterEnding("stopped", reason)
        with self._database.session() as session:

            def work() -> list[Effect]:
                stopped = end_tree(session, [execution_id], ending)
                if stopped and caller is not None:
                    session.execute(NOTE_STOP, execution_id, *by(caller))
                return stopped

            return session.transact(work)

    def wake(self, execution_id: str) -> str | None:
        """Say that something arrived for an execution; gives its owner, if it has one."""
        with self._database.session() as session:
            rows = session.execute(WAKE, execution_id)
        return rows[0][0] if rows else None


def _asked(execution_id: str, owner: str | None) -> Effect:
    return Effect(execution_id, None, [] if owner is None else [owner])


def _told(
    session: StatementSession, statement: Statement, execution_id: str, *args: object
) -> Effect | None:
    for first, at, types, data in session.execute(statement, execution_id, *args):
        return Effect(execution_id, Told(first, at, list(zip(types, data, strict=True))))
    return None
