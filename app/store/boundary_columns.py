"""What a boundary writes, as the parameters of the statements that write it."""

from __future__ import annotations

from collections.abc import Sequence

from app.events.wire import data_text
from app.store.records import (
    Boundary,
    CheckpointRow,
    Ending,
    Family,
    Fence,
    ResolutionRow,
)
from app.store.texts import storable


def ending_args(ending: Ending) -> tuple[object, ...]:
    """How a boundary ends the execution."""
    message = ending.error_message
    return ending.status, message and storable(message), ending.error_node_id


def outcome_args(boundary: Boundary) -> tuple[object, ...]:
    """How a boundary leaves the execution: running, ended, or paused."""
    pausing = boundary.pausing
    if pausing is not None:
        return "paused", None, None, pausing.waits_for, pausing.breakpoint
    return *ending_args(boundary.ending or Ending("running")), None, None


def family_args(family: Family) -> tuple[object, ...]:
    """The children that a boundary makes, and those whose ends it notes."""
    born = family.born
    return (
        [child.id for child in born],
        [child.node_id for child in born],
        [child.ordinal for child in born],
        [child.flow_id for child in born],
        [child.flow_version for child in born],
        [child.inputs for child in born],
        [child.external_events for child in born],
        [child.nodes_total for child in born],
        [child.created_event for child in born],
        family.counted,
        list(family.noted),
    )


def boundary_args(fence: Fence, writes: int, boundary: Boundary) -> tuple[object, ...]:
    """What every boundary has: the fence, events, grants, progress, checkpoints."""
    return (
        fence.execution_id,
        fence.epoch,
        writes,
        [type_ for type_, _ in boundary.events],
        data_text(boundary.events),
        boundary.grants,
        boundary.progress.completed,
        boundary.progress.failed,
        boundary.progress.skipped,
        *_columns(boundary.checkpoints),
    )


def resolved(rows: Sequence[ResolutionRow]) -> tuple[list[object], ...]:
    """The outputs that were given early."""
    return (
        [row.node_id for row in rows],
        [row.seq for row in rows],
        [row.outputs for row in rows],
    )


def _columns(rows: Sequence[CheckpointRow]) -> tuple[list[object], ...]:
    return (
        [row.node_id for row in rows],
        [row.seq for row in rows],
        [row.status for row in rows],
        [row.attempt for row in rows],
        [row.execution_ms for row in rows],
        [row.outputs for row in rows],
        [row.chosen for row in rows],
        [row.error for row in rows],
        [row.started_at for row in rows],
        [row.retry_at for row in rows],
    )
