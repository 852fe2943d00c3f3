"""Children as they are made with a boundary of their parent, and as it reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NewChild:
    """A child to create with a boundary of its parent; JSON columns are texts.

    `node_id` made it ('' for an event that came with the start), as the `ordinal`-th of its own,
    from 0. All else it has of its parent. `counts` says whether it is one of those of which
    there may be no more than MAX_CHILDREN_PER_PARENT.
    """

    id: str
    node_id: str
    ordinal: int
    flow_id: str
    flow_version: int
    nodes_total: int
    created_event: str
    inputs: str | None = None
    external_events: str | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Family:
    """What a boundary makes of children: those that it creates, and those whose ends it notes.

    `counted` is how many of the new ones the parent's row counts.
    """

    born: Sequence[NewChild] = ()
    noted: Sequence[str] = ()
    counted: int = 0


@dataclass(frozen=True, slots=True)
class ChildRow:
    """A child that its parent waits for, or whose end the parent has yet to note."""

    id: str
    status: str
    node_id: str
    ordinal: int
    error_message: str | None
    event_name: str | None


@dataclass(frozen=True, slots=True)
class EndedChild:
    """A child as its results are read: what they are made of, and why there are none."""

    ordinal: int
    id: str
    status: str
    error_message: str | None
    started_at: datetime | None
    options: str
    inputs: str | None
    external_events: str | None
    grants: str | None


@dataclass(frozen=True, slots=True)
class EndedNode:
    """A checkpoint, or an output given early, of a child."""

    node_id: str
    status: str
    attempt: int
    outputs: str | None
    error: str | None
