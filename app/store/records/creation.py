"""What an execution is created with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.store.records.boundary import Progress


@dataclass(frozen=True, slots=True)
class NewExecution:
    """A row to create. JSON columns are texts; `created_event` the data of execution:created.

    `start_timeout_ms` is how long it waits for its start, None for ever.
    """

    id: str
    flow_id: str
    flow_version: int
    owner_id: str
    priority: int
    options: str
    inputs: str | None
    integration: str | None
    start_requested: bool
    start_timeout_ms: int | None
    nodes_total: int
    created_event: str
    external_events: str | None = None


@dataclass(frozen=True, slots=True)
class Fork:
    """What a new execution takes over from another: the checkpoints of these nodes.

    `progress` counts the nodes that are settled by that.
    """

    source_id: str
    nodes: Sequence[str]
    progress: Progress
