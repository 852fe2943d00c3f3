"""What one guarded statement of a run writes at a node boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from app.store.records.children import Family


class CheckpointRow(NamedTuple):
    """A node's checkpoint. `seq` orders an execution's checkpoints; JSON columns are texts.

    `started_at` is the time of the grant, None for a node that was never granted (a pure
    one); `retry_at` that at which a waiting node goes on; `replaces` says that the node has a
    checkpoint of the same attempt: it waited.
    """

    node_id: str
    seq: int
    status: str
    attempt: int
    execution_ms: int
    outputs: str | None
    chosen: str | None
    error: str | None
    started_at: datetime | None = None
    retry_at: datetime | None = None
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class ResolutionRow:
    """An output that a running node gave before its end; `outputs` is the text of `{port: value}`.

    `seq` orders it among the checkpoints.
    """

    node_id: str
    seq: int
    outputs: str


class Progress(NamedTuple):
    """Nodes settled so far, in all."""

    completed: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ends: its final status, and for a failure the reason and the node.

    `descendants` is why those are stopped that are not final; None where there are none.
    """

    status: str
    error_message: str | None = None
    error_node_id: str | None = None
    descendants: str | None = None


@dataclass(frozen=True, slots=True)
class Pausing:
    """How an execution pauses: what it waits for (resume, breakpoint), and at which breakpoint."""

    waits_for: str = "resume"
    breakpoint: str | None = None


class Boundary(NamedTuple):
    """All that one guarded statement writes: checkpoints, grants, events, perhaps the end.

    `events` are (type, data as JSON text); `grants` is the JSON text of {node id: attempt}
    of every node that is started and not settled once the statement is done. `known` is the
    command that the writer knows to be requested: with another one nothing is written. With
    `pausing` or `ending` the execution is given up. `resolutions` are outputs of running nodes.
    `family` is None where it has no part in it.
    """

    events: Sequence[tuple[str, str]] = ()
    checkpoints: Sequence[CheckpointRow] = ()
    grants: str = "{}"
    progress: Progress = Progress()
    ending: Ending | None = None
    pausing: Pausing | None = None
    known: str | None = None
    resolutions: Sequence[ResolutionRow] = ()
    family: Family | None = None
