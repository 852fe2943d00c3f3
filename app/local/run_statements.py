"""What the statements of a run do, one function each (app.store.run_statements)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from psycopg2.errors import UniqueViolation

from app.local.rows import CheckpointRow, ClaimRow, ExecutionRow
from app.local.turn import Handler, Rows, Turn, earlier, whole_ms
from app.store import run_statements as sql

#: What a process claimed so lately is no stray yet: its run may not have begun.
_STRAY_AFTER_MS = 1000


def backlog(turn: Turn) -> list[ExecutionRow]:
    """What may be claimed, in the order of claiming."""
    runnable = [row for row in turn.tables.executions.values() if turn.guards.may_claim(row)]
    return sorted(
        runnable, key=lambda row: (-row.priority, row.queued_at or row.created_at, row.id)
    )


def claim_next(turn: Turn, worker: str, token: str, lease_ms: int) -> Rows:
    """Own the first of the backlog."""
    first = next(iter(backlog(turn)), None)
    return [] if first is None else [_own(turn, first, worker, token, lease_ms)]


def claim_one(turn: Turn, worker: str, token: str, lease_ms: int, execution: str) -> Rows:
    """Own this one, if it is runnable."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_claim(row):
        return []
    return [_own(turn, row, worker, token, lease_ms)]


def _own(turn: Turn, row: ExecutionRow, worker: str, token: str, lease_ms: int) -> tuple[Any, ...]:
    row.epoch += 1
    row.writes = crc32(token.encode()) & sql.MOST_FIRST_WRITES
    row.claim_token = token
    row.runnable_at = row.wake_at = row.waiting = None
    row.processing_worker_id, row.processing_started_at = worker, turn.at
    turn.put_claim(
        ClaimRow(
            execution_id=row.id,
            worker_id=worker,
            claimed_at=turn.at,
            status="active",
            epoch=row.epoch,
            expires_at=turn.after(lease_ms),
            heartbeat_at=turn.at,
        )
    )
    return _claimed(turn, row)


def _claimed(turn: Turn, row: ExecutionRow) -> tuple[Any, ...]:
    running_ms = whole_ms(turn.at - row.started_at) if row.started_at else 0
    deadline = row.deadline()
    deadline_in_ms = whole_ms(deadline - turn.at) if deadline else None
    return (
        row.id,
        row.epoch,
        row.writes,
        row.wake,
        row.flow_id,
        row.flow_version,
        row.owner_id,
        row.root_execution_id,
        row.parent_execution_id,
        row.started_at is not None,
        row.options,
        row.inputs,
        row.integration,
        row.grants,
        running_ms,
        deadline_in_ms,
        row.requested,
        row.requested_reason,
        row.breakpoints_hit,
        row.external_events,
        row.execution_depth,
        row.children,
        row.forked_from is not None,
    )


def find_claim(turn: Turn, token: str, worker: str) -> Rows:
    """What the claim with this token owns."""
    found = []
    for row in turn.tables.executions.values():
        claim = turn.claim(row.id, "") if row.claim_token == token else None
        if claim is None or claim.worker_id != worker:
            continue
        if turn.guards.holds_claim(claim, row.epoch):
            found.append(_claimed(turn, row))
    return found


def write_boundary(turn: Turn, execution: str, epoch: int, writes: int, *what: Any) -> Rows:
    """A node boundary."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_write(row, epoch, writes):
        return []
    _refuse_duplicates(turn, row, what[6])
    return put_boundary(turn, row, *what)


def rewrite_boundary(turn: Turn, execution: str, epoch: int, writes: int, *what: Any) -> Rows:
    """The same, where a checkpoint may be there."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_write(row, epoch, writes):
        return []
    return put_boundary(turn, row, *what)


def write_end(turn: Turn, *what: Any) -> Rows:
    """The last boundary: with the end and the release of the claim."""
    *boundary, status, error_message, error_node_id = what
    written = write_boundary(turn, *boundary)
    return _finish(turn, written, what, (status, error_message, error_node_id))


def rewrite_end(turn: Turn, *what: Any) -> Rows:
    """The same, where a checkpoint may be there."""
    *boundary, status, error_message, error_node_id = what
    written = rewrite_boundary(turn, *boundary)
    return _finish(turn, written, what, (status, error_message, error_node_id))


def _finish(turn: Turn, written: Rows, what: Sequence[Any], end: tuple[str, Any, Any]) -> Rows:
    """Make of a boundary that was written the last one."""
    if not written:
        return []
    [(_, at, _)] = written
    row = turn.tables.executions[what[0]]
    row.status, row.error_message, row.error_node_id = end
    row.completed_at = at
    leave_untold(row)
    claim = turn.claim(row.id, "")
    if claim is not None and claim.epoch == row.epoch:
        claim.status, claim.expires_at = "released", None
    return written


def leave_untold(row: ExecutionRow) -> None:
    """An execution ends: if it is a child, its parent has yet to note that."""
    if row.child_state == "open":
        row.child_state = "untold"


def requested(turn: Turn, execution: str, epoch: int) -> Rows:
    """What is requested of the owner, and how many writes there were."""
    row = turn.held(execution, epoch)
    return [] if row is None else [(row.requested, row.requested_reason, row.writes)]


def _refuse_duplicates(turn: Turn, row: ExecutionRow, nodes: Sequence[str]) -> None:
    present = turn.tables.checkpoints.get(row.id, {})
    if any(node in present for node in nodes):
        raise UniqueViolation("pk_chaingraph_checkpoints")


def put_boundary(
    turn: Turn,
    row: ExecutionRow,
    types: list[str],
    data: str,
    grants: str,
    completed: int,
    failed: int,
    skipped: int,
    *columns: Sequence[Any],
) -> Rows:
    """Write a boundary into a row whose guard holds."""
    at = turn.at_ms
    checkpoints = [_checkpoint(row, at, *values) for values in zip(*columns, strict=True)]
    row.writes += 1
    row.updated_at, row.status = at, "running"
    row.started_at = row.started_at or at
    row.grants = grants
    row.nodes_completed, row.nodes_failed, row.nodes_skipped = completed, failed, skipped
    if checkpoints:
        row.crashes = 0
    stored = turn.tables.checkpoints.setdefault(row.id, {})
    stored.update({checkpoint.node_id: checkpoint for checkpoint in checkpoints})
    if types:
        turn.tell(row, types, data, at)
    return [(row.last_event_index - len(types) + 1, at, row.watched)]


def _checkpoint(
    row: ExecutionRow,
    at: datetime,
    node: str,
    seq: int,
    status: str,
    attempt: int,
    ms: int,
    outputs: str | None,
    chosen: str | None,
    error: str | None,
    started_at: datetime | None,
    retry_at: datetime | None,
) -> CheckpointRow:
    return CheckpointRow(
        execution_id=row.id,
        node_id=node,
        seq=seq,
        status=status,
        attempt=attempt,
        started_at=started_at or at - timedelta(milliseconds=ms),
        completed_at=at,
        execution_time_ms=ms,
        worker_id=row.processing_worker_id or "",
        outputs=outputs,
        chosen=chosen,
        error=error,
        retry_at=retry_at,
    )


def inspect(turn: Turn, execution: str) -> Rows:
    """What became of a write whose reply was lost."""
    row = turn.row(execution)
    if row is None:
        return []
    is_final = row.completed_at is not None
    counts = (row.epoch, row.writes, row.wake, is_final)
    return [(*counts, row.last_event_index, row.updated_at, row.status)]


def park(
    turn: Turn,
    execution: str,
    epoch: int,
    writes: int,
    wake: int,
    waiting: str,
    wake_at: datetime | None,
) -> Rows:
    """Give up until something arrives."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_park(row, epoch, writes, wake):
        return []
    row.writes += 1
    row.deadline_at = row.deadline()
    row.waiting, row.wake_at = waiting, earlier(wake_at, row.deadline_at)
    row.processing_worker_id = row.processing_started_at = None
    row.updated_at = turn.at_ms
    turn.release_claim(execution)
    return [(execution,)]


def release(turn: Turn, execution: str, epoch: int) -> Rows:
    """Give up at once; the next worker goes on from the last checkpoint."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_release(row, epoch):
        return []
    row.epoch += 1
    row.deadline_at = row.wake_at = row.deadline()
    row.runnable_at = turn.at
    row.processing_worker_id = row.processing_started_at = None
    turn.release_claim(execution)
    return [(execution,)]


def give_way(turn: Turn, execution: str, epoch: int) -> Rows:
    """The same, behind all others of its priority that wait by now."""
    released = release(turn, execution, epoch)
    if released:
        turn.tables.executions[execution].queued_at = turn.at
    return released


def others_wait(turn: Turn, execution: str, for_ms: int) -> Rows:
    """Whether others of its priority, or a higher one, wait for so long to be run."""
    mine = turn.row(execution)
    before = turn.after(-for_ms)
    if mine is None:
        return []
    waiting = (
        other
        for other in turn.tables.executions.values()
        if other.runnable_at and other.runnable_at < before and other.priority >= mine.priority
    )
    return [(1,)] if any(waiting) else []


def holds(turn: Turn, execution: str, epoch: int) -> Rows:
    """Whether the fence holds."""
    return [] if turn.held(execution, epoch) is None else [(1,)]


def checkpoints(turn: Turn, execution: str) -> Rows:
    """The checkpoints and resolutions of an execution in the order of writing."""
    rows: Rows = [
        (
            row.node_id,
            row.seq,
            row.status,
            row.attempt,
            row.outputs,
            row.error,
            row.retry_at,
            whole_ms(row.retry_at - turn.at) if row.retry_at else None,
        )
        for row in turn.tables.checkpoints.get(execution, {}).values()
    ]
    rows += [
        (row.node_id, row.seq, row.status, 0, row.outputs, None, None, None)
        for row in turn.tables.resolutions.get(execution, ())
    ]
    return sorted(rows, key=lambda row: row[1])


def document(turn: Turn, flow: str, version: int) -> Rows:
    """The document of a flow version."""
    found = turn.tables.flow_versions.get((flow, version))
    return [] if found is None else [(found.document,)]


def server_now(turn: Turn) -> Rows:
    """The time."""
    return [(turn.at_ms,)]


def renew(
    turn: Turn,
    worker: str,
    executions: Sequence[str],
    nodes: Sequence[str],
    epochs: Sequence[int],
    lease_ms: int,
) -> Rows:
    """Prolong the leases of what runs in a process, and say that it lives."""
    rows: Rows = []
    for execution, node, epoch in zip(executions, nodes, epochs, strict=True):
        claim = turn.claim(execution, node)
        if claim is None or not turn.guards.may_renew(claim, worker, epoch):
            continue
        claim.heartbeat_at, claim.expires_at = turn.at, turn.after(lease_ms)
        row = turn.row(execution)
        if row is not None and row.completed_at is None:
            rows.append((execution, epoch, node, row.requested, row.wake))
    if (registered := turn.tables.workers.get(worker)) is not None:
        registered.last_heartbeat_at = turn.at
        rows.append((None, None, None, None, None))
    return rows


def strays(turn: Turn, worker: str, executions: Sequence[str], nodes: Sequence[str]) -> Rows:
    """The claims of a process that nothing in it runs."""
    running = set(zip(executions, nodes, strict=True))
    before = turn.after(-_STRAY_AFTER_MS)
    return [
        (claim.execution_id, claim.epoch, claim.node_id)
        for claim in turn.claims()
        if claim.worker_id == worker
        and claim.status == "active"
        and (claim.execution_id, claim.node_id) not in running
        and claim.claimed_at < before
    ]


HANDLERS: Mapping[str, Handler] = {
    sql.CLAIM_NEXT.name: claim_next,
    sql.CLAIM_ONE.name: claim_one,
    sql.FIND_CLAIM.name: find_claim,
    sql.WRITE.name: write_boundary,
    sql.REWRITE.name: rewrite_boundary,
    sql.FINISH.name: write_end,
    sql.REFINISH.name: rewrite_end,
    sql.REQUESTED.name: requested,
    sql.INSPECT.name: inspect,
    sql.PARK.name: park,
    sql.RELEASE.name: release,
    sql.GIVE_WAY.name: give_way,
    sql.OTHERS_WAIT.name: others_wait,
    sql.HOLDS.name: holds,
    sql.CHECKPOINTS.name: checkpoints,
    sql.DOCUMENT.name: document,
    sql.NOW.name: server_now,
    sql.RENEW.name: renew,
    sql.STRAYS.name: strays,
}
