"""The JSON shapes of executions (docs/api.md, The Execution), made from their rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import orjson
from sqlalchemy import Row

from app.events.wire import timestamp
from app.nodes.queues import DEFAULT_QUEUE
from app.store.records import NewExecution
from app.values.ports import Value
from app.values.secrets import masked as without_secrets

#: What stands where a caller's own secrets may stand.
MASK = "********"

FINAL = frozenset({"completed", "failed", "stopped"})


def execution_json(
    row: Row[Any] | SimpleNamespace, outputs: Value = None, *, limit: int | None = None
) -> dict[str, Value]:
    """Show an execution. `outputs` only where details are asked for.

    `limit` is QUEUE_CONCURRENCY where no more are claimed than that at present.
    """
    return {
        "id": row.id,
        "executionId": row.id,
        "flowId": row.flow_id,
        "flowVersion": row.flow_version,
        "ownerId": row.owner_id,
        "rootExecutionId": row.root_execution_id,
        "parentExecutionId": row.parent_execution_id,
        "executionDepth": row.execution_depth,
        "forkedFrom": row.forked_from,
        "status": row.status,
        "requested": _requested(row),
        "waiting": _waiting(row, limit),
        "progress": {
            "total": row.nodes_total,
            "completed": row.nodes_completed,
            "failed": row.nodes_failed,
            "skipped": row.nodes_skipped,
        },
        "outputs": outputs,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
        "startedAt": optional_time(row.started_at),
        "completedAt": optional_time(row.completed_at),
        "errorMessage": row.error_message,
        "errorNodeId": row.error_node_id,
        "options": loaded(row.options),
        "integration": None if row.integration is None else masked(loaded(row.integration)),
        "externalEvents": without_secrets(loaded(row.external_events) or []),
        "failureCount": row.failure_count,
        "lastFailureReason": row.last_failure_reason,
        "lastFailureAt": optional_time(row.last_failure_at),
        "processingStartedAt": optional_time(row.processing_started_at),
        "processingWorkerId": row.processing_worker_id,
        "lastEventIndex": row.last_event_index,
    }


def created_row(new: NewExecution, at: datetime) -> SimpleNamespace:
    """The row that create inserted at this time, without asking for it."""
    requested_at = at if new.start_requested else None
    return SimpleNamespace(
        **_UNTOUCHED,
        id=new.id,
        flow_id=new.flow_id,
        flow_version=new.flow_version,
        owner_id=new.owner_id,
        root_execution_id=new.id,
        nodes_total=new.nodes_total,
        created_at=at,
        updated_at=at,
        start_requested_at=requested_at,
        runnable_at=requested_at,
        wake_at=_start_deadline(new, at),
        options=new.options,
        integration=new.integration,
        external_events=new.external_events,
    )


def _start_deadline(new: NewExecution, at: datetime) -> datetime | None:
    if new.start_timeout_ms is None:
        return None
    return at + timedelta(milliseconds=new.start_timeout_ms)


#: What the table's defaults give a row.
_UNTOUCHED = {
    "parent_execution_id": None,
    "execution_depth": 0,
    "forked_from": None,
    "status": "created",
    "requested": None,
    "waiting": None,
    "nodes_completed": 0,
    "nodes_failed": 0,
    "nodes_skipped": 0,
    "started_at": None,
    "completed_at": None,
    "error_message": None,
    "error_node_id": None,
    "failure_count": 0,
    "last_failure_reason": None,
    "last_failure_at": None,
    "processing_started_at": None,
    "processing_worker_id": None,
    "last_event_index": -1,
}


def _requested(row: Row[Any] | SimpleNamespace) -> str | None:
    if row.status == "created" and row.start_requested_at is not None:
        return "start"
    requested: str | None = row.requested
    return requested


def _waiting(row: Row[Any] | SimpleNamespace, limit: int | None) -> Value:
    """Why nothing moves, as the engine and the store decided on it."""
    if row.status in FINAL:
        return None
    if row.waiting is not None:
        return loaded(row.waiting)
    if row.start_requested_at is None:
        return _waits("start-signal", row.created_at, {}, until=row.wake_at)
    if row.runnable_at is not None and limit is not None:
        return _waits("concurrency-limit", row.runnable_at, {"limit": limit})
    if row.runnable_at is not None:
        return _waits("worker", row.runnable_at, {"queue": DEFAULT_QUEUE})
    return None


def _waits(what: str, since: datetime, detail: Value, until: datetime | None = None) -> Value:
    return {
        "for": what,
        "since": timestamp(since),
        "until": optional_time(until),
        "detail": detail,
    }


def optional_time(at: datetime | None) -> str | None:
    """Write a time that may not have come."""
    return None if at is None else timestamp(at)


def loaded(column: Any) -> Value:
    """Read a JSON column, which the driver gives as text."""
    return orjson.loads(column) if isinstance(column, str) else column


def masked(value: Value) -> Value:
    """Keep the keys of an integration and hide every leaf."""
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return MASK
