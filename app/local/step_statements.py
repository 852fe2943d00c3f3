"""What the statements of sent steps do, one function each (app.store.step_statements)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from app.local.rows import ClaimRow, ExecutionRow, RecoveryRow
from app.local.turn import Handler, Rows, Turn, built
from app.nodes.queues import DEFAULT_QUEUE
from app.store import step_statements as sql


def post_steps(
    turn: Turn,
    execution: str,
    epoch: int,
    nodes: Sequence[str],
    attempts: Sequence[int],
    queues: Sequence[str],
) -> Rows:
    """Note the steps that are about to be sent."""
    if turn.held(execution, epoch) is None:
        return []
    for node, attempt, queue in zip(nodes, attempts, queues, strict=True):
        earlier = turn.claim(execution, node)
        first_epoch = attempt * sql.EPOCHS_PER_ATTEMPT
        turn.put_claim(
            ClaimRow(
                execution_id=execution,
                node_id=node,
                worker_id="",
                claimed_at=turn.at,
                status="released",
                epoch=max(earlier.epoch + 1, first_epoch) if earlier else first_epoch,
                heartbeat_at=earlier.heartbeat_at if earlier else turn.at,
                attempt=attempt,
                queue=queue,
            )
        )
    return [(execution,)]


def sent_steps(turn: Turn, execution: str) -> Rows:
    """The sent steps of an execution."""
    return [
        (step.node_id, step.attempt, step.status, step.result)
        for step in turn.tables.claims.get(execution, {}).values()
        if step.node_id
    ]


def drop_steps(turn: Turn, execution: str, epoch: int, nodes: Sequence[str]) -> Rows:
    """Forget steps whose results are checkpoints now."""
    row = turn.row(execution)
    if row is not None and row.epoch == epoch:
        steps = turn.tables.claims.get(execution, {})
        for node in nodes:
            if node and node in steps and steps[node].status != "active":
                del steps[node]
    return []


def claim_step(turn: Turn, execution: str, node: str, worker: str, lease_ms: int) -> Rows:
    """Own a sent step."""
    step = turn.claim(execution, node) if node else None
    if step is None or not turn.guards.may_claim_step(step):
        return []
    step.worker_id, step.status = worker, "active"
    step.epoch += 1
    step.claimed_at = step.heartbeat_at = turn.at
    step.expires_at = turn.after(lease_ms)
    row = turn.row(execution)
    if row is None or row.completed_at is not None:
        return []
    return [
        (
            step.epoch,
            step.attempt,
            row.flow_id,
            row.flow_version,
            row.owner_id,
            row.root_execution_id,
            row.parent_execution_id,
            row.options,
            row.inputs,
            row.integration,
            row.external_events,
        )
    ]


def _held(turn: Turn, execution: str, node: str, epoch: int) -> ClaimRow | None:
    step = turn.claim(execution, node)
    return step if step is not None and turn.guards.holds_claim(step, epoch) else None


def hand_in_step(turn: Turn, execution: str, node: str, epoch: int, result: str) -> Rows:
    """Hand a step's result in."""
    step = _held(turn, execution, node, epoch)
    if step is None:
        return []
    step.status, step.expires_at, step.result = "released", None, result
    return [(epoch,)]


def hand_in_for(
    turn: Turn, execution: str, node: str, attempt: int, worker: str, result: str
) -> Rows:
    """Hand a result in for a node whose owner ran it in place and doesn't yield."""
    row = turn.row(execution)
    if row is None or row.status != "running" or row.processing_worker_id != worker:
        return []
    if orjson.loads(row.grants or "{}").get(node) != attempt:
        return []
    row.epoch += 1
    row.deadline_at = row.wake_at = row.deadline()
    row.runnable_at = turn.at
    row.processing_worker_id = row.processing_started_at = None
    turn.release_claim(execution)
    earlier = turn.claim(execution, node)
    first_epoch = attempt * sql.EPOCHS_PER_ATTEMPT
    turn.put_claim(
        ClaimRow(
            execution_id=execution,
            node_id=node,
            worker_id=earlier.worker_id if earlier else "",
            claimed_at=earlier.claimed_at if earlier else turn.at,
            status="released",
            epoch=max(earlier.epoch + 1, first_epoch) if earlier else first_epoch,
            heartbeat_at=earlier.heartbeat_at if earlier else turn.at,
            attempt=attempt,
            queue=(earlier.queue if earlier else None) or DEFAULT_QUEUE,
            result=result,
        )
    )
    return [(execution,)]


def holds_step(turn: Turn, execution: str, node: str, epoch: int) -> Rows:
    """Whether a step is still its owner's."""
    step = _held(turn, execution, node, epoch)
    return [(1,)] if step is not None and _is_unfinished(turn, step) else []


def wake_execution(turn: Turn, execution: str) -> Rows:
    """Something arrived: whoever parks now looks again; who parked is runnable."""
    row = turn.row(execution)
    if row is None or row.completed_at is not None or row.started_at is None:
        return []
    row.wake += 1
    if row.processing_worker_id is None and row.status != "paused":
        row.runnable_at = row.runnable_at or turn.at
    return [(row.processing_worker_id,)]


def release_step(turn: Turn, execution: str, node: str, epoch: int) -> Rows:
    """Give a step up that did not begin; it is sent again."""
    step = _held(turn, execution, node, epoch)
    if step is not None:
        step.status, step.expires_at, step.worker_id = "released", None, ""
    return []


def recover_step(
    turn: Turn, execution: str, node: str, epoch: int, reason: str, by: str, previous: str
) -> Rows:
    """A step's owner is lost."""
    step = _held(turn, execution, node, epoch)
    if step is None:
        return []
    step.status = "expired"
    step.result = built({"reason": reason, "previousWorkerId": previous, "workerId": by})
    row = turn.row(execution)
    if row is None or row.completed_at is not None:
        return []
    row.failure_count += 1
    row.crashes += 1
    row.last_failure_reason, row.last_failure_at = reason, turn.at
    note_recovery(turn, execution, reason, by, row.status, previous)
    return [(execution,)]


def note_recovery(
    turn: Turn, execution: str, reason: str, by: str, status: str, previous: str | None
) -> None:
    """Add to the audit trail."""
    audit = turn.tables.recoveries
    audit.append(
        RecoveryRow(
            id=len(audit) + 1,
            execution_id=execution,
            recovered_at=turn.at,
            recovered_by_worker=by,
            recovery_reason=reason,
            previous_status=status,
            previous_worker_id=previous,
        )
    )


def lock_lost_step(turn: Turn, execution: str, node: str, epoch: int) -> Rows:
    """Whether a step's loss is yet to be noted."""
    return [(1,)] if _held(turn, execution, node, epoch) is not None else []


def crashes(turn: Turn, execution: str) -> Rows:
    """What a step's loss is measured against."""
    row = turn.row(execution)
    return [] if row is None or row.completed_at is not None else [(row.epoch, row.crashes)]


def lying_queues(turn: Turn, older_than_ms: int) -> Rows:
    """The queues in which steps lie."""
    return [(queue,) for queue in dict.fromkeys(s.queue for s in _lying(turn, older_than_ms))]


def _lying(turn: Turn, older_than_ms: int) -> list[ClaimRow]:
    before = turn.after(-older_than_ms)
    return [
        step
        for step in turn.claims()
        if step.node_id and turn.guards.may_claim_step(step) and step.claimed_at < before
    ]


def resend_steps(turn: Turn, older_than_ms: int, queue: str, limit: int) -> Rows:
    """Steps whose message seems lost; they count as sent now."""
    lying = [
        step
        for step in _lying(turn, older_than_ms)
        if step.queue == queue and _is_unfinished(turn, step)
    ]
    lying = sorted(lying, key=lambda step: step.claimed_at)[:limit]
    for step in lying:
        step.claimed_at = turn.at
    return [(step.execution_id, step.node_id) for step in lying]


def _is_unfinished(turn: Turn, step: ClaimRow) -> bool:
    row = turn.row(step.execution_id)
    return row is not None and row.completed_at is None


def untold_executions(turn: Turn, limit: int) -> Rows:
    """Executions that were not told of a step's end, or of its loss."""
    untold: dict[str, None] = {}
    for step in turn.claims():
        if not step.node_id or (step.result is None and step.status != "expired"):
            continue
        row = turn.row(step.execution_id)
        if row is None or row.status != "running" or step.node_id not in granted(row):
            continue
        if row.runnable_at is None and row.processing_worker_id is None:
            untold[row.id] = None
    return [(execution,) for execution in list(untold)[:limit]]


def granted(row: ExecutionRow) -> dict[str, int]:
    """The nodes that an execution has under way, each with its attempt."""
    grants: dict[str, int] = orjson.loads(row.grants or "{}")
    return grants


HANDLERS: Mapping[str, Handler] = {
    sql.POST_STEPS.name: post_steps,
    sql.SENT_STEPS.name: sent_steps,
    sql.DROP_STEPS.name: drop_steps,
    sql.CLAIM_STEP.name: claim_step,
    sql.HAND_IN.name: hand_in_step,
    sql.HAND_IN_FOR.name: hand_in_for,
    sql.HOLDS_STEP.name: holds_step,
    sql.WAKE.name: wake_execution,
    sql.RELEASE_STEP.name: release_step,
    sql.RECOVER_STEP.name: recover_step,
    sql.LOCK_LOST_STEP.name: lock_lost_step,
    sql.CRASHES.name: crashes,
    sql.LYING_QUEUES.name: lying_queues,
    sql.RESEND_STEPS.name: resend_steps,
    sql.UNTOLD.name: untold_executions,
}
