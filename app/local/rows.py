"""The tables of the store in this process: rows with the columns of app.store.tables.

JSON columns hold text, as the statements give and take it; times are aware.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import count
from json import JSONDecoder

import orjson

_decoder = JSONDecoder()

#: What stands before an element of an array.
_BETWEEN = re.compile(r"\s*[\[,]\s*")


@dataclass(slots=True, kw_only=True)
class ExecutionRow:
    """A row of chaingraph_executions."""

    id: str
    flow_id: str
    flow_version: int
    owner_id: str
    root_execution_id: str
    parent_execution_id: str | None = None
    execution_depth: int = 0
    parent_node_id: str | None = None
    child_ordinal: int | None = None
    forked_from: str | None = None
    priority: int = 0
    created_at: datetime
    options: str
    inputs: str | None = None
    integration: str | None = None
    external_events: str | None = None
    status: str = "created"
    start_requested_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    deadline_at: datetime | None = None
    deadline_left_ms: int | None = None
    error_message: str | None = None
    error_node_id: str | None = None
    failure_count: int = 0
    last_failure_reason: str | None = None
    last_failure_at: datetime | None = None
    requested: str | None = None
    requested_seq: int = 0
    requested_reason: str | None = None
    breakpoints_hit: Sequence[str] | None = None
    child_state: str | None = None
    children: int = 0
    waiting: str | None = None
    runnable_at: datetime | None = None
    queued_at: datetime | None = None
    wake_at: datetime | None = None
    processing_started_at: datetime | None = None
    processing_worker_id: str | None = None
    claim_token: str | None = None
    epoch: int = 0
    crashes: int = 0
    wake: int = 0
    nodes_total: int = 0
    updated_at: datetime
    writes: int = 0
    last_event_index: int = -1
    nodes_completed: int = 0
    nodes_failed: int = 0
    nodes_skipped: int = 0
    watched: bool = False
    grants: str | None = None

    def deadline(self) -> datetime | None:
        """The deadline of what has begun: as stored, else so long after the start."""
        if self.deadline_at is not None or self.started_at is None:
            return self.deadline_at
        execution = orjson.loads(self.options).get("execution", {})
        timeout_ms: int = execution.get("flowTimeoutMs", 0)
        return self.started_at + timedelta(milliseconds=timeout_ms) if timeout_ms else None


@dataclass(slots=True, kw_only=True)
class ClaimRow:
    """A row of chaingraph_execution_claims; `node_id` is empty for the execution itself."""

    execution_id: str
    node_id: str = ""
    worker_id: str
    claimed_at: datetime
    status: str
    epoch: int
    expires_at: datetime | None = None
    heartbeat_at: datetime
    attempt: int | None = None
    queue: str | None = None
    result: str | None = None


@dataclass(slots=True, kw_only=True)
class RecoveryRow:
    """A row of chaingraph_execution_recovery."""

    id: int
    execution_id: str
    recovered_at: datetime
    recovered_by_worker: str
    recovery_reason: str
    previous_status: str
    previous_worker_id: str | None


@dataclass(slots=True, kw_only=True)
class CheckpointRow:
    """A row of chaingraph_checkpoints."""

    execution_id: str
    node_id: str
    seq: int
    status: str
    attempt: int
    started_at: datetime
    completed_at: datetime
    execution_time_ms: int
    worker_id: str
    outputs: str | None
    chosen: str | None
    error: str | None
    retry_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionRow:
    """A row of chaingraph_resolutions; among checkpoints, `status` tells it from them."""

    execution_id: str
    seq: int
    node_id: str
    outputs: str
    status: str = "resolved"


@dataclass(frozen=True, kw_only=True)
class EventBatchRow:
    """A row of chaingraph_event_batches: events that one statement wrote."""

    execution_id: str
    first_index: int
    written_at: datetime
    types: Sequence[str]
    data: str

    @cached_property
    def texts(self) -> Sequence[str]:
        """The data of each event as it was written, byte for byte."""
        texts = []
        end = 0
        for _ in self.types:
            between = _BETWEEN.match(self.data, end)
            begin = between.end() if between else end
            _, end = _decoder.raw_decode(self.data, begin)
            texts.append(self.data[begin:end])
        return texts


@dataclass(slots=True, kw_only=True)
class KeyRow:
    """A row of chaingraph_idempotency_keys."""

    owner_id: str
    route: str
    key: str
    body_hash: str
    created_ids: Sequence[str]
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class SignalRow:
    """A row of chaingraph_signals."""

    execution_id: str
    id: int
    name: str
    payload: str | None
    sent_at: datetime
    node_id: str | None = None
    taken_at: datetime | None = None
    timed_out: bool = False


@dataclass(slots=True, kw_only=True)
class BulkRow:
    """A row of chaingraph_bulk_commands."""

    id: int
    execution_id: str
    action: str
    recorded_at: datetime


@dataclass(slots=True, kw_only=True)
class WorkerRow:
    """A row of chaingraph_workers."""

    worker_id: str
    parent_worker_id: str | None
    hostname: str
    pid: int
    pool: str
    concurrency: int
    queues: str
    status: str = "running"
    started_at: datetime
    lease_ms: int
    lock_key: int | None
    lock_server_started_at: datetime | None = None
    last_heartbeat_at: datetime


@dataclass(slots=True, kw_only=True)
class DeletionRow:
    """A row of chaingraph_deletions."""

    execution_id: str
    deleted_at: datetime
    has_descendants: bool = False


@dataclass(slots=True, kw_only=True)
class SlotRow:
    """A row of chaingraph_slots."""

    id: int
    execution_id: str | None = None
    epoch: int = 0


@dataclass(slots=True, kw_only=True)
class BeatRow:
    """The row of chaingraph_beat."""

    id: int = 1
    swept_at: datetime
    worker_id: str | None


@dataclass(slots=True, kw_only=True)
class FlowRow:
    """A row of chaingraph_flows."""

    id: str
    owner_id: str
    name: str
    version: int
    created_at: datetime
    updated_at: datetime
    hidden_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class FlowVersionRow:
    """A row of chaingraph_flow_versions."""

    flow_id: str
    version: int
    document: str
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class SecretRow:
    """A row of chaingraph_secrets."""

    id: str
    owner_id: str
    name: str
    secret_type: str
    sealed: str
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class Tables:
    """All rows, by their primary keys; what belongs to an execution also by its id."""

    flows: dict[str, FlowRow] = field(default_factory=dict)
    flow_versions: dict[tuple[str, int], FlowVersionRow] = field(default_factory=dict)
    secrets: dict[str, SecretRow] = field(default_factory=dict)
    executions: dict[str, ExecutionRow] = field(default_factory=dict)
    #: The ids of each execution's children, also of those that are gone.
    offspring: dict[str, list[str]] = field(default_factory=dict)
    claims: dict[str, dict[str, ClaimRow]] = field(default_factory=dict)
    recoveries: list[RecoveryRow] = field(default_factory=list)
    checkpoints: dict[str, dict[str, CheckpointRow]] = field(default_factory=dict)
    resolutions: dict[str, list[ResolutionRow]] = field(default_factory=dict)
    event_batches: dict[str, list[EventBatchRow]] = field(default_factory=dict)
    deletions: dict[str, DeletionRow] = field(default_factory=dict)
    idempotency_keys: dict[tuple[str, str, str], KeyRow] = field(default_factory=dict)
    signals: dict[str, list[SignalRow]] = field(default_factory=dict)
    signal_ids: Iterator[int] = field(default_factory=lambda: count(1))
    bulk_commands: list[BulkRow] = field(default_factory=list)
    bulk_ids: Iterator[int] = field(default_factory=lambda: count(1))
    workers: dict[str, WorkerRow] = field(default_factory=dict)
    slots: dict[int, SlotRow] = field(default_factory=dict)
    beat: BeatRow | None = None
