"""Who owns an execution: the processes, what they claim and renew, what is taken from the lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.store.records.effects import Effect


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A process that runs nodes, or the parent of such: what it says of itself at its start."""

    worker_id: str
    parent_worker_id: str | None
    hostname: str
    pid: int
    pool: str
    concurrency: int
    queues: Sequence[str]
    lease_ms: int
    lock_key: int


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to write for an execution, or for one sent step: void once another has it."""

    execution_id: str
    epoch: int
    node_id: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What is requested of an execution's owner: `pause` or `step`, with the reason given."""

    command: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """An execution that this process owns from now on, as its row was at the claim.

    `deadline_in_ms` is what is left until its deadline, below zero once that has passed; None
    where it has none, or has not begun. `children` is how many it made that count; `is_fork`
    says that there may be checkpoints before it has begun.
    """

    fence: Fence
    writes: int
    wake: int
    flow_id: str
    flow_version: int
    owner_id: str
    root_execution_id: str
    parent_execution_id: str | None
    begun: bool
    options: str
    inputs: str | None
    integration: str | None
    grants: str | None
    running_ms: int
    deadline_in_ms: int | None
    requested: str | None = None
    requested_reason: str | None = None
    breakpoints_hit: Sequence[str] | None = None
    external_events: str | None = None
    depth: int = 0
    children: int = 0
    is_fork: bool = False

    @property
    def request(self) -> Request | None:
        """The command that was requested of the owner when it was claimed."""
        if self.requested is None:
            return None
        return Request(self.requested, self.requested_reason)


@dataclass(frozen=True, slots=True)
class Renewed:
    """A lease that was confirmed, and the command that is requested of its execution.

    `wake` counts what has arrived for the execution so far.
    """

    fence: Fence
    requested: str | None
    wake: int = 0


@dataclass(frozen=True, slots=True)
class Recovered:
    """An execution taken from an owner that was lost, and the event that tells it.

    `ended` says that it crashed too often and was failed for good; `stopped` is what descended
    from it then. `events` are (index, type, data as JSON text), all of the time `at`.
    """

    execution_id: str
    reason: str
    previous_worker_id: str | None
    at: datetime
    ended: bool
    events: Sequence[tuple[int, str, str]]
    stopped: Sequence[Effect] = ()
