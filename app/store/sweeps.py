"""The sweep's store on PostgreSQL: what is due, and what the dead left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from app.store import deadline_statements as deadlines
from app.store import family_statements as family
from app.store import keys
from app.store import retention_statements as retention
from app.store import step_statements as steps
from app.store import sweep_statements as sql
from app.store.bulk import Batch, carry_out
from app.store.endings import PARENT_FAILED, OuterEnding, end_tree, give_up
from app.store.own_session import OwnSession
from app.store.records import Deleted, Effect, Place, Recovered
from app.store.session import Statement
from app.store.sessions import Sessions, StatementSession
from app.store.slot_statements import SLOTS_TAKEN


class LostClaim(NamedTuple):
    """A claim whose owner is lost; `node_id` where it is the claim of a sent step."""

    execution_id: str
    epoch: int
    worker_id: str
    node_id: str = ""


class Fired(NamedTuple):
    """Executions whose timers fired; whether there are others whose own time is up, for their
    start or as a whole; and how soon (ms) the next time comes, where it is near.
    """

    ids: list[str]
    are_over: bool
    next_ms: int | None


class PgSweepStore(OwnSession):
    """The statements of the sweep, on a connection of its own.

    Every method may raise StoreUnavailable. `limit` is QUEUE_CONCURRENCY.
    """

    def __init__(self, database: Sessions, worker_id: str, *, limit: int = 0) -> None:
        super().__init__(database)
        self._limit = limit
        self._worker_id = worker_id

    def unregister(self, worker_ids: Sequence[str]) -> None:
        """Forget processes that have ended."""
        self._run(sql.UNREGISTER, list(worker_ids))

    def take_beat(self, interval_ms: int) -> int:
        """How soon (ms) the sweep is due; 0: it is, and it is this process's to do."""
        due_ms: int = self._run(sql.BEAT, self._worker_id, interval_ms)[0][0]
        return due_ms

    def inherit_beat(self, dead: Sequence[str]) -> bool:
        """Take the beat at once if one of the dead has it."""
        return bool(self._run(sql.INHERIT_BEAT, self._worker_id, list(dead)))

    def count_sweepers(self) -> int:
        """How many processes sweep in turn: one of each worker."""
        count: int = self._run(sql.SWEEPERS)[0][0]
        return count

    def unlocked(self) -> set[str]:
        """Processes that hold no lock although they took one; one look proves nothing yet."""
        return {row[0] for row in self._run(sql.UNLOCKED)}

    def claims_of(self, worker_ids: Sequence[str], limit: int) -> list[LostClaim]:
        """What these processes own."""
        return [LostClaim(*row) for row in self._run(sql.CLAIMS_OF, list(worker_ids), limit)]

    def expired(self, limit: int) -> list[LostClaim]:
        """What nobody renewed in time."""
        return [LostClaim(*row) for row in self._run(sql.EXPIRED, limit)]

    def silent(self) -> list[str]:
        """Processes that said nothing for long and own nothing."""
        return [row[0] for row in self._run(sql.SILENT)]

    def recover(self, claim: LostClaim, reason: str, most_crashes: int) -> Recovered | None:
        """Take an execution from a lost owner; None where another was quicker."""
        args = (claim.execution_id, claim.epoch, reason, self._worker_id, claim.worker_id)
        told = self._run(sql.RECOVER, *args, most_crashes)
        if told:
            return _recovered(claim, reason, told)
        return self._give_up(claim, claim.epoch, reason, most_crashes)

    def _give_up(
        self, claim: LostClaim, epoch: int, reason: str, most_crashes: int
    ) -> Recovered | None:
        args = (claim.execution_id, epoch, reason, self._worker_id, claim.worker_id, most_crashes)

        def end(session: StatementSession) -> tuple[list[tuple[Any, ...]], Sequence[Effect]]:
            # A claim may be on a list that is older than the note of its loss.
            step = (claim.execution_id, claim.node_id, claim.epoch)
            if claim.node_id and not session.execute(steps.LOCK_LOST_STEP, *step):
                return [], ()
            return give_up(session, *args)

        told, stopped = self._transact(end)
        return (
            replace(_recovered(claim, reason, told), ended=True, stopped=stopped) if told else None
        )

    def recover_step(self, claim: LostClaim, reason: str, most_crashes: int) -> Recovered | bool:
        """Take a sent step from a lost owner and tell its execution; False: nothing to take.

        Where that was one crash too many, the execution is failed for good.
        """
        for epoch, crashes in self._run(steps.CRASHES, claim.execution_id):
            if crashes + 1 >= most_crashes:
                return self._give_up(claim, epoch, reason, most_crashes) or False
        args = (claim.execution_id, claim.node_id, claim.epoch)
        taken = bool(self._run(steps.RECOVER_STEP, *args, reason, self._worker_id, claim.worker_id))
        if taken:
            self._run(steps.WAKE, claim.execution_id)
        return taken

    def tell_untold(self, limit: int) -> list[str]:
        """Wake executions that were not told of a step's end, or of a child's; gives them."""
        untold = [row[0] for row in self._run(steps.UNTOLD, limit)]
        untold += [row[0] for row in self._run(family.UNTOLD_PARENTS, limit)]
        for execution_id in untold:
            self._run(steps.WAKE, execution_id)
        return untold

    def lying_queues(self, older_than_ms: int) -> list[str]:
        """Queues with steps that a worker should have taken by now."""
        return [row[0] for row in self._run(steps.LYING_QUEUES, older_than_ms)]

    def resend_steps(self, older_than_ms: int, queue: str, limit: int) -> list[tuple[str, str]]:
        """Steps (execution, node) of a queue to send again."""
        rows = self._run(steps.RESEND_STEPS, older_than_ms, queue, limit)
        return [(execution_id, node_id) for execution_id, node_id in rows]

    def end_unstarted(self, limit: int) -> list[Effect]:
        """Fail what nobody started in time; gives what was ended."""
        return self._end(deadlines.UNSTARTED, "StartTimeout", limit)

    def end_overdue(self, limit: int) -> list[Effect]:
        """Fail flows whose time is up while nobody owns them, and end what descends from them."""
        return self._end(deadlines.OVERDUE, "FlowTimeout", limit)

    def end_overrun(self, limit: int, grace_ms: int) -> list[Effect]:
        """The same for those that an owner has let run on for so long."""
        return self._end(deadlines.OVERRUN, "FlowTimeout", limit, grace_ms)

    def _end(self, find: Statement, error_type: str, *args: object) -> list[Effect]:
        def end(session: StatementSession) -> list[Effect]:
            found: dict[str, list[str]] = {}
            for execution_id, message in session.execute(find, *args):
                found.setdefault(message, []).append(execution_id)
            effects: list[Effect] = []
            for message, ids in found.items():
                ending = OuterEnding("failed", message, error_type, descendants=PARENT_FAILED)
                effects += end_tree(session, ids, ending)
            return effects

        return self._transact(end)

    def fire_timers(self, limit: int, within_ms: int) -> Fired:
        """Make runnable what waits for a time that has come, so many at most.

        Looks for the next time within so many milliseconds.
        """
        *fired, (_, are_over, next_ms) = self._run(sql.FIRE_TIMERS, limit, within_ms)
        return Fired([row[0] for row in fired], are_over, next_ms)

    def left_lying(self, older_than_ms: int, limit: int) -> list[str]:
        """Executions that a worker should have taken by now, first the first to be taken.

        None while as many are claimed as may be: no worker could take another.
        """
        if self._limit and self._run(SLOTS_TAKEN, self._limit)[0][0]:
            return []
        return [row[0] for row in self._run(sql.LEFT_LYING, older_than_ms, limit)]

    def forget_keys(self, limit: int) -> None:
        """Forget idempotency keys whose time is over."""
        self._run(keys.FORGET_KEYS, limit)

    def delete_roots(self, days: int, after: Place | None, limit: int) -> Deleted:
        """Delete roots whose trees ended so many days ago, of the next executions by age."""
        place = after or (None, "")
        gone, at, id_ = self._run(retention.DELETE_ROOTS, *place, days, limit)[0]
        return Deleted(gone, None if at is None else (at, id_))

    def delete_descendants(self, roots: int, limit: int) -> int:
        """Delete so many descendants of deleted roots.

        Gives of how many roots; 0 once nothing is left.
        """
        return int(self._run(retention.DELETE_DESCENDANTS, roots, limit)[0][0])

    def purge(self, older_than_ms: int, executions: int, rows: int) -> int:
        """Delete what belonged to deleted executions, of each table so many rows at most.

        Gives of how many executions; 0 once nothing is left.
        """
        return int(self._run(retention.PURGE, older_than_ms, executions, rows)[0][0])

    def forget_audit(self, days: int, rows: int) -> int:
        """Forget what was noted so many days ago, of the oldest so many; how many those were.

        0 once none is old.
        """
        return int(self._run(retention.FORGET_AUDIT, days, rows)[0][0])

    def carry_out_commands(self, limit: int) -> Batch:
        """Carry out commands to many executions that whoever recorded them has left."""
        return self._on_session(lambda session: carry_out(session, limit))

    def slots(self) -> dict[str, int]:
        """The slots of all workers that are alive, by the queues that they consume."""
        return dict(self._run(sql.SLOTS))


def _recovered(claim: LostClaim, reason: str, told: list[tuple[Any, ...]]) -> Recovered:
    events = [(index, type_, data) for index, type_, _, data in told]
    return Recovered(claim.execution_id, reason, claim.worker_id, told[0][2], False, events)
