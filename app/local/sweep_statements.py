"""What the statements of the keeper do, one function each (app.store.sweep_statements)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import orjson

from app.local.rows import BeatRow, EventBatchRow, ExecutionRow, WorkerRow
from app.local.run_statements import backlog, leave_untold
from app.local.step_statements import note_recovery
from app.local.turn import Handler, Rows, Turn, built, whole_ms
from app.store import sweep_statements as sql

#: Losses of this kind count as crashes.
_CRASHES = frozenset({"worker_died", "expired_claim"})

#: So many lost processes are named at most.
_MOST_NAMED = 10

#: A process that was silent for so many of its leases is gone.
_LEASES_OF_SILENCE = 3


def register_worker(
    turn: Turn,
    worker: str,
    parent: str | None,
    hostname: str,
    pid: int,
    pool: str,
    concurrency: int,
    queues: str,
    lease_ms: int,
    lock_key: int,
) -> Rows:
    """A process says who it is."""
    known = turn.tables.workers.get(worker)
    turn.tables.workers[worker] = WorkerRow(
        worker_id=worker,
        parent_worker_id=parent,
        hostname=hostname,
        pid=pid,
        pool=pool,
        concurrency=concurrency,
        queues=queues,
        started_at=turn.at if known is None else known.started_at,
        lease_ms=lease_ms,
        lock_key=lock_key,
        last_heartbeat_at=turn.at,
    )
    return []


def lock_process(turn: Turn, key: int) -> Rows:
    """Take the session's lock, if it is free."""
    return [(turn.locks.setdefault(key, turn.session) is turn.session,)]


def note_lock(turn: Turn, worker: str) -> Rows:
    """The lock is held, under the server as it runs now."""
    if (row := turn.tables.workers.get(worker)) is not None:
        row.lock_server_started_at = turn.server_started_at
    return []


def set_worker_status(turn: Turn, worker: str, status: str) -> Rows:
    """A process says that it runs or drains."""
    if (row := turn.tables.workers.get(worker)) is not None:
        row.status = status
    return []


def unregister_workers(turn: Turn, workers: Sequence[str]) -> Rows:
    """Forget processes."""
    for worker in workers:
        turn.tables.workers.pop(worker, None)
    return []


def beat(turn: Turn, worker: str, interval_ms: int) -> Rows:
    """Move the beat on, if it is due."""
    present = turn.tables.beat
    if present is not None and present.swept_at > turn.after(-interval_ms):
        due = present.swept_at - turn.after(-interval_ms)
        return [(max(1, ceil(due.total_seconds() * 1000)),)]
    turn.tables.beat = BeatRow(swept_at=turn.at, worker_id=worker)
    return [(0,)]


def inherit_beat(turn: Turn, worker: str, dead: Sequence[str]) -> Rows:
    """Take the beat at once if one of these has it."""
    present = turn.tables.beat
    if present is None or present.worker_id not in dead:
        return []
    turn.tables.beat = BeatRow(swept_at=turn.at, worker_id=worker)
    return [(1,)]


def sweepers(turn: Turn) -> Rows:
    """How many workers there are."""
    return [(sum(row.parent_worker_id is None for row in turn.tables.workers.values()),)]


def unlocked_workers(turn: Turn) -> Rows:
    """Processes whose lock is free although it was taken under the server as it runs now."""
    return [
        (row.worker_id,)
        for row in turn.tables.workers.values()
        if row.lock_server_started_at == turn.server_started_at and row.lock_key not in turn.locks
    ]


def claims_of(turn: Turn, workers: Sequence[str], limit: int) -> Rows:
    """What dead processes own."""
    owned = [
        (claim.execution_id, claim.epoch, claim.worker_id, claim.node_id)
        for claim in turn.claims()
        if claim.status == "active" and claim.worker_id in workers
    ]
    return owned[:limit]


def expired_claims(turn: Turn, limit: int) -> Rows:
    """Claims whose lease is over."""
    over = [
        claim
        for claim in turn.claims()
        if claim.status == "active" and claim.expires_at is not None and claim.expires_at < turn.at
    ]
    over.sort(key=lambda claim: claim.expires_at or turn.at)
    return [(each.execution_id, each.epoch, each.worker_id, each.node_id) for each in over[:limit]]


def silent_workers(turn: Turn) -> Rows:
    """Processes silent for long, their lock unknown, that own nothing."""
    owners = {claim.worker_id for claim in turn.claims() if claim.status == "active"}
    return [
        (row.worker_id,)
        for row in turn.tables.workers.values()
        if row.last_heartbeat_at < turn.after(-_LEASES_OF_SILENCE * row.lease_ms)
        and row.lock_server_started_at != turn.server_started_at
        and row.worker_id not in owners
    ]


def _is_crash(reason: str) -> bool:
    return reason in _CRASHES


def _take(turn: Turn, row: ExecutionRow, reason: str, by: str, previous: str | None) -> None:
    """Take an execution from its owner."""
    note_recovery(turn, row.id, reason, by, row.status, previous)
    row.epoch += 1
    row.writes += 1
    row.failure_count += _is_crash(reason)
    row.crashes += _is_crash(reason)
    row.last_failure_reason, row.last_failure_at = reason, turn.at
    row.processing_worker_id = row.processing_started_at = None
    row.updated_at = turn.at_ms
    claim = turn.claim(row.id, "")
    if claim is not None and claim.status == "active":
        claim.status = "expired"


def recover(
    turn: Turn, execution: str, epoch: int, reason: str, by: str, previous: str, most: int
) -> Rows:
    """Take an execution from its owner for another to go on with, unless it crashed too often."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_recover(row, epoch):
        return []
    if row.crashes + _is_crash(reason) >= most:
        return []
    _take(turn, row, reason, by, previous)
    row.deadline_at = row.wake_at = row.deadline()
    row.runnable_at = turn.at
    told = {"reason": reason, "previousWorkerId": previous, "workerId": by}
    return _told(turn.tell(row, ["execution:recovered"], f"[{built(told)}]", turn.at_ms))


def give_up(
    turn: Turn, execution: str, epoch: int, reason: str, by: str, previous: str, most: int
) -> Rows:
    """Fail for good what crashed too often."""
    row = turn.row(execution)
    if row is None or not turn.guards.may_recover(row, epoch):
        return []
    if row.crashes + _is_crash(reason) < most:
        return []
    lost = [*_lost(turn, execution, most), previous]
    _take(turn, row, reason, by, previous)
    row.status, row.runnable_at = "failed", None
    row.requested = row.requested_reason = row.waiting = row.wake_at = None
    turn.drop_steps(row.id)
    row.started_at = row.started_at or turn.at_ms
    row.completed_at = turn.at_ms
    leave_untold(row)
    granted: dict[str, int] = orjson.loads(row.grants or "{}")
    ran = ", ".join(f"node '{node}' ran (attempt {attempt})" for node, attempt in granted.items())
    row.error_message = (
        f"given up: its worker was lost {most} times since the last checkpoint"
        f"{', while ' + ran if ran else ''}; lost: {', '.join(lost)}"
    )
    row.error_node_id = next(iter(granted)) if len(granted) == 1 else None
    return _told(_tell_failure(turn, row, "WorkerLost", row.error_message))


def _lost(turn: Turn, execution: str, most: int) -> list[str]:
    """The processes that were lost with an execution before, the latest last."""
    lost = [
        each.previous_worker_id or ""
        for each in turn.tables.recoveries
        if each.execution_id == execution and _is_crash(each.recovery_reason)
    ]
    kept = min(most, _MOST_NAMED) - 1
    return lost[-kept:] if kept > 0 else []


def _tell_failure(turn: Turn, row: ExecutionRow, type_: str, message: str) -> EventBatchRow:
    ms = max(0, whole_ms(row.updated_at - (row.started_at or row.updated_at)))
    failed: dict[str, Any] = {
        "executionTimeMs": ms,
        "error": {"type": type_, "message": message},
    }
    ended = {"executionTimeMs": ms, "errorMessage": message, "errorNodeId": row.error_node_id}
    types = ["flow:failed", "execution:failed"]
    return turn.tell(row, types, f"[{built(failed)}, {built(ended)}]", turn.at_ms)


def _told(batch: EventBatchRow) -> Rows:
    return [
        (index, type_, batch.written_at, data)
        for index, (type_, data) in enumerate(
            zip(batch.types, batch.texts, strict=True), batch.first_index
        )
    ]


def fire_timers(turn: Turn, limit: int, within_ms: int) -> Rows:
    """Make runnable what waits for a time that has come; tell what comes next."""
    waiting = [row for row in turn.tables.executions.values() if row.completed_at is None]
    due = [row for row in waiting if row.wake_at is not None and row.wake_at <= turn.at]
    due.sort(key=lambda row: row.wake_at or turn.at)
    fired = [row for row in due[:limit] if turn.guards.is_due(row, turn.at)]
    for row in fired:
        row.wake_at, row.waiting = row.deadline_at, None
        row.runnable_at = row.runnable_at or turn.at
        row.wake += 1
    are_over = len(fired) < len(due[:limit])
    next_ms = 0 if len(due[:limit]) == limit else _next_ms(turn, within_ms)
    return [*((row.id, None, None) for row in fired), (None, are_over, next_ms)]


def _next_ms(turn: Turn, within_ms: int) -> int | None:
    """How soon the next time comes, if within so many milliseconds."""
    waiting = [row for row in turn.tables.executions.values() if row.completed_at is None]
    times = [row.wake_at for row in waiting if row.wake_at is not None]
    until = turn.after(within_ms)
    left = [each - turn.at for each in times if turn.at < each <= until]
    return ceil(min(left).total_seconds() * 1000) if left else None


def left_lying(turn: Turn, older_than_ms: int, limit: int) -> Rows:
    """What a worker should have taken by now."""
    before = turn.after(-older_than_ms)
    lying = [row for row in backlog(turn) if row.runnable_at and row.runnable_at < before]
    return [(row.id,) for row in lying[:limit]]


def slots(turn: Turn) -> Rows:
    """Slots of all workers that are alive, by queue."""
    found: Counter[str] = Counter()
    for row in turn.tables.workers.values():
        is_alive = row.last_heartbeat_at > turn.after(-row.lease_ms)
        if row.parent_worker_id is None and row.status == "running" and is_alive:
            found.update(dict.fromkeys(orjson.loads(row.queues), row.concurrency))
    return list(found.items())


HANDLERS: Mapping[str, Handler] = {
    sql.REGISTER.name: register_worker,
    sql.LOCK.name: lock_process,
    sql.LOCKED.name: note_lock,
    sql.SET_STATUS.name: set_worker_status,
    sql.UNREGISTER.name: unregister_workers,
    sql.BEAT.name: beat,
    sql.INHERIT_BEAT.name: inherit_beat,
    sql.SWEEPERS.name: sweepers,
    sql.UNLOCKED.name: unlocked_workers,
    sql.CLAIMS_OF.name: claims_of,
    sql.EXPIRED.name: expired_claims,
    sql.SILENT.name: silent_workers,
    sql.RECOVER.name: recover,
    sql.GIVE_UP.name: give_up,
    sql.FIRE_TIMERS.name: fire_timers,
    sql.LEFT_LYING.name: left_lying,
    sql.SLOTS.name: slots,
}
