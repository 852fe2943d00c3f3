"""What goes into the store and comes out of it: plain records, no SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

#: The status of an output that a running node gave, among the statuses of checkpoints.
RESOLVED = "resolved"


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
class Family:
    """What a boundary makes of children: those that it creates, and those whose ends it notes.

    `counted` is how many of the new ones the parent's row counts.
    """

    born: Sequence[NewChild] = ()
    noted: Sequence[str] = ()
    counted: int = 0


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to write for an execution, or for one sent step: void once another has it."""

    execution_id: str
    epoch: int
    node_id: str = ""


@dataclass(frozen=True, slots=True)
class Overdue:
    """An attempt whose process can't give it up itself: whose it is, and what is to come of it.

    `claim_epoch` is that of a sent step's own claim, 0 where the execution's owner runs the
    node; `worker_id` names the process; `result` is JSON, as a sent step hands it in.
    """

    execution_id: str
    node_id: str
    attempt: int
    claim_epoch: int
    worker_id: str
    result: str


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
class CheckpointRow:
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


@dataclass(frozen=True, slots=True)
class Progress:
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


@dataclass(frozen=True, slots=True)
class Boundary:
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
    progress: Progress = field(default_factory=Progress)
    ending: Ending | None = None
    pausing: Pausing | None = None
    known: str | None = None
    resolutions: Sequence[ResolutionRow] = ()
    family: Family | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The statement was done: the index of its first event, its time.

    `is_watched` says whether somebody may wait for its events: so it is where that isn't known.
    `stopped` is what it did to descendants of an execution that failed.
    """

    first_index: int
    at: datetime
    is_watched: bool = field(default=True, compare=False)
    stopped: Sequence[Effect] = ()


@dataclass(frozen=True, slots=True)
class Void:
    """Nothing was written: another owns the execution, or it is final."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """Nothing was written: something else is requested than the writer knew of."""

    request: Request | None


@dataclass(frozen=True, slots=True)
class Woken:
    """Not parked: something arrived since the run looked. `wake` is the new count."""

    wake: int


@dataclass(frozen=True, slots=True)
class Parked:
    """The execution waits and holds nothing."""


@dataclass(frozen=True, slots=True)
class Told:
    """Events that a statement wrote beside the run: (type, data as JSON text), of one time."""

    first_index: int
    at: datetime
    events: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a command did to an execution: what it told, and the processes that are to hear of it.

    Neither where it changed nothing, because the same was requested before.
    """

    execution_id: str
    told: Told | None = None
    owners: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint, or a resolution (of status `resolved`), as a resuming run reads it.

    `retry_in_ms` is what is left until `retry_at`, below zero once that has passed.
    """

    node_id: str
    seq: int
    status: str
    attempt: int
    outputs: str | None
    error: str | None
    retry_at: datetime | None
    retry_in_ms: int | None


@dataclass(frozen=True, slots=True)
class SignalTaken:
    """How a node's wait for a signal ended: with what was sent (JSON text), or by its time."""

    node_id: str
    payload: str | None
    timed_out: bool
    waited_ms: int


@dataclass(frozen=True, slots=True)
class Renewed:
    """A lease that was confirmed, and the command that is requested of its execution.

    `wake` counts what has arrived for the execution so far.
    """

    fence: Fence
    requested: str | None
    wake: int = 0


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


@dataclass(frozen=True, slots=True)
class SentStep:
    """A node step that was sent: its claim's status, and its result once it was handed in."""

    node_id: str
    attempt: int
    status: str
    result: str | None


@dataclass(frozen=True, slots=True)
class ClaimedStep:
    """A sent step that this process owns from now on, with what its inputs are made of."""

    fence: Fence
    attempt: int
    flow_id: str
    flow_version: int
    owner_id: str
    root_execution_id: str
    parent_execution_id: str | None
    options: str
    inputs: str | None
    integration: str | None
    external_events: str | None = None


#: An execution among all by age: when it was created, and its id.
Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Deleted:
    """What retention did: how many roots are gone, and the last execution that it looked at.

    None once it has looked at all.
    """

    gone: int
    last: Place | None
