"""What an execution came to, node by node, and what it told."""

from __future__ import annotations

from typing import Any, Literal

from web.shapes.forms import Page, Shape, Time


class NodeFailure(Shape):
    """Why a node failed."""

    type: str
    message: str


class Node(Shape):
    """A node of an execution."""

    id: str
    node_id: str
    type: str
    status: Literal[
        "idle",
        "initialized",
        "executing",
        "waiting",
        "completed",
        "skipped",
        "error",
        "cancelled",
    ]
    attempt: int
    started_at: Time | None
    completed_at: Time | None
    execution_time_ms: int | None
    retry_at: Time | None
    worker_id: str | None
    inputs: dict[str, Any] | None
    outputs: dict[str, Any] | None
    error: NodeFailure | None


class NodePage(Page[Node]):
    """One page of nodes."""


class Event(Shape):
    """Something that happened; indexes run -1, 0, 1, … without a gap."""

    index: int
    type: str
    timestamp: Time
    execution_id: str
    data: dict[str, Any]


class EventPage(Shape):
    """Events in order; `end` says that nothing follows any more."""

    events: list[Event]
    next_index: int
    end: bool
