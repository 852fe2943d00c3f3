"""Executions, the trees that they make, and what commands did to them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.executions.options import ExecutionOptions, ExternalEvent
from web.schemas import Status
from web.shapes.forms import Items, Page, Shape, Time


class Waiting(Shape):
    """Why nothing moves."""

    for_: str = Field(alias="for")
    since: Time
    until: Time | None
    detail: dict[str, Any]


class Progress(Shape):
    """Nodes in all, and those that are settled."""

    total: int
    completed: int
    failed: int
    skipped: int


class Execution(Shape):
    """One run of a flow. `outputs` are null until it is completed, and in lists."""

    id: str
    execution_id: str
    flow_id: str
    flow_version: int
    owner_id: str
    root_execution_id: str
    parent_execution_id: str | None
    execution_depth: int
    forked_from: str | None
    status: Status
    requested: Literal["start", "pause", "step", "stop"] | None
    waiting: Waiting | None
    progress: Progress
    outputs: dict[str, Any] | None
    created_at: Time
    updated_at: Time
    started_at: Time | None
    completed_at: Time | None
    error_message: str | None
    error_node_id: str | None
    options: ExecutionOptions
    integration: Any
    external_events: list[ExternalEvent]
    failure_count: int
    last_failure_reason: str | None
    last_failure_at: Time | None
    processing_started_at: Time | None
    processing_worker_id: str | None
    last_event_index: int


class ExecutionPage(Page[Execution]):
    """One page of executions."""


class ExecutionList(Items[Execution]):
    """Executions, all of them."""


class Accepted(Shape):
    """How many executions a filter matched, and how many of them take the command."""

    matched: int
    accepted: int


class Signalled(Shape):
    """The node that a signal went to; null while it is kept for one."""

    delivered: str | None


class Root(Shape):
    """A root execution with the size of its tree: levels and executions, itself counted."""

    execution: Execution
    levels: int
    total_nested: int


class RootPage(Page[Root]):
    """One page of root executions."""


class Member(Shape):
    """An execution of a tree, whose top is on level 0."""

    id: str
    parent_id: str | None
    level: int
    execution: Execution


class TreePage(Page[Member]):
    """One page of a tree."""


class Recovery(Shape):
    """One time that an execution was taken from its owner."""

    recovered_at: Time
    recovered_by_worker: str
    recovery_reason: Literal["worker_died", "expired_claim", "no_claim", "requested"]
    previous_status: Status
    previous_worker_id: str | None


class RecoveryPage(Page[Recovery]):
    """One page of the audit trail."""
