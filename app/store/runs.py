"""The run store on PostgreSQL: one connection, one statement per decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from app.events.wire import data_text
from app.nodes.queues import DEFAULT_QUEUE
from app.store import commanded_statements as commanded
from app.store import family_statements as family
from app.store import run_statements as sql
from app.store import signal_statements as signals
from app.store import step_statements as steps
from app.store import sweep_statements as sweeps
from app.store.boundary_columns import (
    boundary_args,
    ending_args,
    family_args,
    outcome_args,
    resolved,
)
from app.store.endings import end_descendants, give_up
from app.store.flow_lookup import FLOW_HEAD, FlowHead, FlowLookup
from app.store.own_session import OwnSession
from app.store.records import (
    Boundary,
    ChildRow,
    Claimed,
    ClaimedStep,
    Effect,
    EndedChild,
    EndedNode,
    Fence,
    Parked,
    Recalled,
    Request,
    SentStep,
    SignalTaken,
    StoredCheckpoint,
    Void,
    Woken,
    Written,
)
from app.store.sessions import Sessions, StatementSession
from app.store.signals import give_kept
from app.store.slot_statements import ADD_SLOTS
from app.store.texts import is_storable

#: Every node has the default queue.
NO_QUEUES: Mapping[str, str] = MappingProxyType({})


class PgRunStore(OwnSession):
    """The statements of a process that runs executions, on a connection of its own.

    `limit` is QUEUE_CONCURRENCY: so many executions are claimed at once by all processes
    together; 0 is no limit. `flows` finds the flows that nodes have run where they are in another
    database.
    """

    def __init__(
        self, database: Sessions, *, limit: int = 0, flows: FlowLookup | None = None
    ) -> None:
        super().__init__(database)
        self._flows = flows
        self._limit = limit
        self._has_slots = False

    def claim(
        self, worker_id: str, token: str, lease_ms: int, execution_id: str | None = None
    ) -> Claimed | None:
        """Own the named execution, or the next of the backlog; None if there is none to own."""
        claimer = (worker_id, token, lease_ms)
        if self._limit:
            rows = self._claim_limited(claimer, execution_id)
        elif execution_id is None:
            rows = self._run(sql.CLAIM_NEXT, *claimer)
        else:
            rows = self._run(sql.CLAIM_ONE, *claimer, execution_id)
        return _claimed(rows[0]) if rows else None

    def _claim_limited(
        self, claimer: tuple[str, str, int], execution_id: str | None
    ) -> list[tuple[Any, ...]]:
        if not self._has_slots:
            self._run(ADD_SLOTS, self._limit)
            self._has_slots = True
        if execution_id is None:
            return self._run(sql.CLAIM_NEXT_LIMITED, *claimer, self._limit)
        return self._run(sql.CLAIM_ONE_LIMITED, *claimer, execution_id, self._limit)

    def find_claim(self, worker_id: str, token: str) -> Claimed | None:
        """What the claim with this token owns, where its reply was lost."""
        rows = self._run(sql.FIND_CLAIM, token, worker_id)
        return _claimed(rows[0]) if rows else None

    def write(self, fence: Fence, writes: int, boundary: Boundary) -> Written | Void | Recalled:
        """Write a node boundary, if the fence holds and `writes` is the count so far."""
        if boundary.ending and boundary.ending.descendants:
            return self._write_last(fence, writes, boundary)
        rows = self._write(fence, writes, boundary)
        return Written(*rows[0]) if rows else self._why_void(fence, writes, boundary.known)

    def _write_last(
        self, fence: Fence, writes: int, boundary: Boundary
    ) -> Written | Void | Recalled:
        """Write the end of an execution and stop what descends from it, in one transaction."""

        def work(session: StatementSession) -> tuple[list[tuple[Any, ...]], list[Effect]]:
            rows = self._write(fence, writes, boundary)
            message = boundary.ending.descendants if boundary.ending else None
            if not rows or message is None:
                return rows, []
            return rows, end_descendants(session, [fence.execution_id], message)

        rows, stopped = self._transact(work)
        for first_index, at, is_watched in rows:
            return Written(first_index, at, is_watched, stopped)
        return self._why_void(fence, writes, boundary.known)

    def _write(self, fence: Fence, writes: int, boundary: Boundary) -> list[tuple[Any, ...]]:
        args = boundary_args(fence, writes, boundary)
        ending = boundary.ending
        is_retried = any(row.attempt > 1 or row.replaces for row in boundary.checkpoints)
        outcome = (boundary.known, *outcome_args(boundary))
        if boundary.family:
            more = (*resolved(boundary.resolutions), *family_args(boundary.family))
            return self._run(family.FAMILY, *args, *outcome, *more)
        if boundary.resolutions:
            return self._run(commanded.RESOLVING, *args, *outcome, *resolved(boundary.resolutions))
        if boundary.known or boundary.pausing:
            return self._run(commanded.COMMANDED, *args, *outcome)
        if ending is None:
            return self._run(sql.REWRITE if is_retried else sql.WRITE, *args)
        return self._run(sql.REFINISH if is_retried else sql.FINISH, *args, *ending_args(ending))

    def _why_void(self, fence: Fence, writes: int, known: str | None) -> Void | Recalled:
        for command, reason, count in self._run(sql.REQUESTED, fence.execution_id, fence.epoch):
            if count == writes and command != known:
                return Recalled(_request(command, reason))
        return Void()

    def requested(self, fence: Fence) -> Request | Void | None:
        """What is requested of the owner of the fence; Void where it doesn't hold any more."""
        for command, reason, _ in self._run(sql.REQUESTED, fence.execution_id, fence.epoch):
            return _request(command, reason)
        return Void()

    def settle_unknown(
        self, fence: Fence, writes: int, boundary: Boundary
    ) -> Written | Void | Recalled:
        """Find out whether a write whose reply was lost was done, and do it if not."""
        found = self._find_write(fence, writes, boundary)
        if found is not None:
            return found
        outcome = self.write(fence, writes, boundary)
        if isinstance(outcome, Void):
            # The lost one may have been on its way still, and have come first.
            return self._find_write(fence, writes, boundary) or outcome
        return outcome

    def _find_write(self, fence: Fence, writes: int, boundary: Boundary) -> Written | Void | None:
        """What became of a write; None where it was not done and still may be."""
        rows = self._run(sql.INSPECT, fence.execution_id)
        if not rows:
            return Void()
        epoch, count, _wake, final, last_index, at, status = rows[0]
        if epoch == fence.epoch and count == writes and not final:
            return None
        is_done = count == writes + 1 and final == (boundary.ending is not None)
        if boundary.pausing:
            # It has used its own fence up. A sweep that took it would not have paused it.
            is_done, epoch = is_done and status == "paused", epoch - 1
        if epoch != fence.epoch or not is_done:
            return Void()
        if not boundary.events:
            return Written(last_index + 1, at)
        types = [type_ for type_, _ in boundary.events]
        data = data_text(boundary.events)
        [(first,)] = self._run(sql.FIND_BATCH, fence.execution_id, at, types, data)
        return Written(first, at)

    def park(
        self, fence: Fence, writes: int, wake: int, waiting: str, wake_at: datetime | None
    ) -> Parked | Woken | Void:
        """Give the execution up until something arrives or `wake_at`, unless `wake` moved on."""
        args = (fence.execution_id, fence.epoch, writes, wake, waiting, wake_at)
        if self._run(sql.PARK, *args):
            return Parked()
        rows = self._run(sql.INSPECT, fence.execution_id)
        if rows and rows[0][0] == fence.epoch and rows[0][1] == writes and not rows[0][3]:
            return Woken(rows[0][2])
        return Void()

    def release(self, fence: Fence) -> None:
        """Give the execution up at once, for another to go on with."""
        if fence.node_id:
            self._run(steps.RELEASE_STEP, fence.execution_id, fence.node_id, fence.epoch)
        else:
            self._run(sql.RELEASE, fence.execution_id, fence.epoch)

    def give_way(self, fence: Fence) -> None:
        """Give the execution up at once, and have it wait behind the others of its priority."""
        self._run(sql.GIVE_WAY, fence.execution_id, fence.epoch)

    def others_wait(self, execution_id: str, for_ms: int) -> bool:
        """Whether others, no less urgent than this one, wait for so long to be run."""
        return bool(self._run(sql.OTHERS_WAIT, execution_id, for_ms))

    def abandon(self, fence: Fence, worker_id: str, most_crashes: int) -> None:
        """Give the execution up after a crash of its run: counted, and failed if too many."""
        args = (fence.execution_id, fence.epoch, "worker_died", worker_id, worker_id, most_crashes)
        if not self._run(sweeps.RECOVER, *args):
            self._transact(lambda session: give_up(session, *args))

    def holds(self, fence: Fence) -> bool:
        """Whether the fence still holds."""
        if fence.node_id:
            step = (fence.execution_id, fence.node_id, fence.epoch)
            return bool(self._run(steps.HOLDS_STEP, *step))
        return bool(self._run(sql.HOLDS, fence.execution_id, fence.epoch))

    def post_steps(
        self, fence: Fence, attempts: Mapping[str, int], queues: Mapping[str, str] = NO_QUEUES
    ) -> bool:
        """Note steps (node id: attempt) that are about to be sent; False if the fence is void."""
        columns = (
            list(attempts),
            list(attempts.values()),
            [queues.get(node_id, DEFAULT_QUEUE) for node_id in attempts],
        )
        return bool(self._run(steps.POST_STEPS, fence.execution_id, fence.epoch, *columns))

    def sent_steps(self, execution_id: str) -> list[SentStep]:
        """The steps of an execution that were sent and are no checkpoints yet."""
        return [SentStep(*row) for row in self._run(steps.SENT_STEPS, execution_id)]

    def drop_steps(self, fence: Fence, node_ids: Sequence[str]) -> None:
        """Forget steps whose results are checkpoints now."""
        self._run(steps.DROP_STEPS, fence.execution_id, fence.epoch, list(node_ids))

    def claim_step(
        self, execution_id: str, node_id: str, worker_id: str, lease_ms: int
    ) -> ClaimedStep | None:
        """Own a sent step; None where another does, or nothing was sent, or all is over."""
        rows = self._run(steps.CLAIM_STEP, execution_id, node_id, worker_id, lease_ms)
        if not rows:
            return None
        epoch, *rest = rows[0]
        return ClaimedStep(Fence(execution_id, epoch, node_id), *rest)

    def hand_in(self, fence: Fence, result: str) -> bool:
        """Hand in a step's result; False if the step is another's by now."""
        args = (fence.execution_id, fence.node_id, fence.epoch, result)
        return bool(self._run(steps.HAND_IN, *args))

    def wake(self, execution_id: str) -> str | None:
        """Say that something arrived for an execution; gives its owner, if it has one."""
        rows = self._run(steps.WAKE, execution_id)
        return rows[0][0] if rows else None

    def children(self, execution_id: str) -> list[ChildRow]:
        """The children that it waits for, or whose ends it has yet to note."""
        return [_child(row) for row in self._run(family.CHILDREN, execution_id)]

    def flow_head(self, flow_id: str) -> FlowHead | None:
        """Whose a flow is, and its newest version; None where there is none."""
        if self._flows is not None:
            return self._flows.head(flow_id)
        rows = self._run(FLOW_HEAD, flow_id) if is_storable(flow_id) else []
        return FlowHead(*rows[0]) if rows else None

    def bring_version(self, flow_id: str, version: int) -> None:
        """Have a version beside the executions that something new is to run.

        No statement where they are one database.

        Raises Conflict where another version with this number is there.
        """
        if self._flows is not None:
            self._flows.document(flow_id, version)

    def children_made(self, execution_id: str, node_id: str) -> int:
        """How many children a node has made for its items."""
        return int(self._run(family.MADE, execution_id, node_id)[0][0])

    def ended_children(
        self, execution_id: str, node_id: str, first: int, limit: int
    ) -> list[tuple[EndedChild, list[EndedNode]]]:
        """So many children of a node from a place on, in order, each with its checkpoints.

        Fewer where they are large: the last of them is the one that passes READ_TOGETHER bytes.
        """
        most_bytes = family.READ_TOGETHER
        rows = self._run(family.ENDED, execution_id, node_id, first, limit, most_bytes)
        found: dict[str, list[EndedNode]] = {row[1]: [] for row in rows}
        for id_, *columns, _seq in self._run(family.ENDED_NODES, list(found)):
            found[id_].append(EndedNode(*columns))
        return [(EndedChild(*row), found[row[1]]) for row in rows]

    def take_signals(
        self, fence: Fence, node_ids: Sequence[str], names: Sequence[str]
    ) -> list[SignalTaken] | Void:
        """How the waits of these nodes ended, as far as they have; Void if the fence is void.

        Signals of these names that are kept are given to nodes that wait for them first.
        """
        args = (fence.execution_id, fence.epoch, list(node_ids), list(names))
        found = self._run(signals.TAKEN, *args)
        if any(is_kept for is_kept, *_ in found):
            self._transact(lambda session: give_kept(session, fence))
            found = self._run(signals.TAKEN, *args)
        if not found:
            return Void()
        return [SignalTaken(*row) for _, *row in found if row[0] is not None]

    def end_signal_wait(self, fence: Fence, node_id: str, name: str) -> None:
        """End a node's wait for want of a signal, unless one was given to it."""
        self._run(signals.END_WAIT, fence.execution_id, fence.epoch, node_id, name)

    def checkpoints(self, execution_id: str) -> list[StoredCheckpoint]:
        """The checkpoints and resolutions in the order of writing."""
        rows = self._run(sql.CHECKPOINTS, execution_id)
        return [StoredCheckpoint(*row) for row in rows]

    def document(self, flow_id: str, version: int) -> str:
        """The document of a flow version, as JSON text."""
        rows = self._run(sql.DOCUMENT, flow_id, version)
        if not rows and self._flows is not None:
            # The first that runs it: a node has that flow run.
            return str(self._flows.document(flow_id, version))
        return str(rows[0][0])

    def now(self) -> datetime:
        """The store's time, in milliseconds."""
        at: datetime = self._run(sql.NOW)[0][0]
        return at


def _claimed(row: tuple[Any, ...]) -> Claimed:
    execution_id, epoch, *rest = row
    return Claimed(Fence(execution_id, epoch), *rest)


def _child(row: tuple[Any, ...]) -> ChildRow:
    id_, status, node_id, ordinal, error_message, event = row
    return ChildRow(id_, status, node_id, ordinal, error_message, family.event_name(event))


def _request(command: str | None, reason: str | None) -> Request | None:
    return None if command is None else Request(command, reason)
