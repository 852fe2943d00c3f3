"""The names of events (docs/flows.md, Events) and the event before it has an index."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from app.values.ports import Value


class EventType(StrEnum):
    """Every event that an execution can publish."""

    EXECUTION_CREATED = "execution:created"
    FLOW_STARTED = "flow:started"
    NODE_STATUS_CHANGED = "node:status-changed"
    NODE_STARTED = "node:started"
    EDGE_TRANSFER_COMPLETED = "edge:transfer-completed"
    EDGE_TRANSFER_FAILED = "edge:transfer-failed"
    NODE_DEBUG_LOG = "node:debug-log-string"
    NODE_PROGRESS = "node:progress"
    NODE_STREAM_CHUNK = "node:stream-chunk"
    PORT_UPDATED = "port:updated"
    NODE_COMPLETED = "node:completed"
    NODE_FAILED = "node:failed"
    NODE_SKIPPED = "node:skipped"
    BREAKPOINT_HIT = "debug:breakpoint-hit"
    FLOW_PAUSED = "flow:paused"
    FLOW_RESUMED = "flow:resumed"
    CHILD_SPAWNED = "child:spawned"
    CHILD_COMPLETED = "child:completed"
    CHILD_FAILED = "child:failed"
    CHILD_STOPPED = "child:stopped"
    EXECUTION_RECOVERED = "execution:recovered"
    FLOW_COMPLETED = "flow:completed"
    FLOW_FAILED = "flow:failed"
    FLOW_CANCELLED = "flow:cancelled"
    EXECUTION_COMPLETED = "execution:completed"
    EXECUTION_FAILED = "execution:failed"
    EXECUTION_STOPPED = "execution:stopped"


#: One of these is the last event of an execution, exactly once.
TERMINAL = frozenset(
    {
        EventType.EXECUTION_COMPLETED,
        EventType.EXECUTION_FAILED,
        EventType.EXECUTION_STOPPED,
    }
)


@dataclass(slots=True)
class Event:
    """An event on its way to the log: PostgreSQL gives it its index and its time."""

    type: EventType
    data: dict[str, Value] = field(default_factory=dict)
