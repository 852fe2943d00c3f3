"""The vocabulary of a run: node statuses, what came of a node, what came of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from app.errors import NodeError
from app.flows.plan import PlanNode
from app.values.ports import Value


class NodeStatus(StrEnum):
    """The statuses of docs/flows.md, rule 5."""

    IDLE = "idle"
    INITIALIZED = "initialized"
    EXECUTING = "executing"
    WAITING = "waiting"
    COMPLETED = "completed"
    SKIPPED = "skipped"
    ERROR = "error"
    CANCELLED = "cancelled"


#: What a node gives, by root port id.
Outputs = Mapping[str, Value]
NO_OUTPUTS: Outputs = MappingProxyType({})

#: A node with one of these never changes again.
SETTLED = frozenset({NodeStatus.COMPLETED, NodeStatus.SKIPPED, NodeStatus.ERROR})


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `options` says to the engine: nodes at once, what an unhandled error does, debug.

    `side_by_side` says that whoever reads a stream may run beside the node that sends it.
    """

    max_concurrency: int = 50
    fail_on_error: bool = True
    debug: bool = False
    side_by_side: bool = True


@dataclass(slots=True)
class Tally:
    """How many nodes take part in a run, and how many of them are settled, in which ways."""

    total: int
    completed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def left(self) -> int:
        """How many are not settled."""
        return self.total - self.completed - self.failed - self.skipped


@dataclass(frozen=True, slots=True)
class NodeFailure:
    """Why a node failed, as `error` of its events and its checkpoint."""

    type: str
    message: str

    def as_json(self) -> dict[str, Value]:
        """The shape that events, checkpoints and the API give it."""
        return {"type": self.type, "message": self.message}


def as_node_failure(error: BaseException) -> NodeFailure:
    """What an exception out of a node is called in events: a NodeError by its own name."""
    if isinstance(error, NodeError):
        return NodeFailure(error.type, error.message)
    return NodeFailure(type(error).__name__, str(error) or type(error).__name__)


class Start(NamedTuple):
    """The decision that a node starts now, as its `attempt`-th try (1, 2, …)."""

    node: PlanNode
    attempt: int
    was_interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is kept of a node that ended, or that waits: to be tried again, or for a timer.

    `outputs` of a completed node by root port id, of a failed one those that it gave early;
    `chosen` the ids of the edges that fed it.
    """

    node_id: str
    status: NodeStatus
    attempt: int
    outputs: Mapping[str, Value] | None = None
    error: NodeFailure | None = None
    chosen: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """What is kept of outputs that a node gave before its end, by root port id."""

    node_id: str
    outputs: Mapping[str, Value]


#: What a run is restored from, in the order of writing.
Record = Checkpoint | Resolution


@dataclass(frozen=True, slots=True)
class Completion:
    """Every node settled."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A node failed and nothing handled it, or the time is up: the run may not go on.

    `node_id` is None where no node is to blame.
    """

    node_id: str | None
    error: NodeFailure


#: How a run ends by itself.
Verdict = Completion | Failure
