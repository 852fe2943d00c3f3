"""The first event of an execution, told by whoever creates it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.events.fitting import Shared, fit_shared
from app.events.types import Event, EventType
from app.values.ports import Value


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where an execution stands in its tree, and whose it is."""

    owner_id: str
    root_execution_id: str
    parent_execution_id: str | None = None
    depth: int = 0


def created_event(
    execution_id: str,
    flow_id: str,
    flow_version: int,
    metadata: Shared,
    lineage: Lineage,
    *,
    forked: Mapping[str, Value] | None = None,
) -> str:
    """The data of `execution:created`, as JSON text.

    `metadata` is the flow's, which may be large, and is the same for all of its executions;
    `forked` says from what, of a fork.
    """
    created = Event(
        EventType.EXECUTION_CREATED,
        {
            "flowId": flow_id,
            "flowVersion": flow_version,
            "flowMetadata": None,
            "ownerId": lineage.owner_id,
            "rootExecutionId": lineage.root_execution_id,
            "parentExecutionId": lineage.parent_execution_id,
            "executionDepth": lineage.depth,
            **(forked or {}),
        },
    )
    return fit_shared(execution_id, created, "flowMetadata", metadata)[1]
