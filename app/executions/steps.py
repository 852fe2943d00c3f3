"""One step of a run: a node on its way through a thread, and what it hands to the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from app.engine import Start
from app.errors import NodeCancelled, NodeTimeout
from app.events.types import Event, EventType
from app.logs import bound
from app.nodes.invoke import run_node_function
from app.nodes.spec import Cancellation
from app.values.ports import PortConfig, Value

#: A node begins within so long (s) after its run was last known to be its process's; else the
#: store is asked first. So none begins long after a stop, for whose effect callers wait 0.1 s.
BEGINS_WITHIN_S = 0.15

#: The longest that `ctx.sleep` waits in place, in milliseconds.
MAX_SLEEP_MS = 1000
#: So many events of a node may be on their way to its run; then the node waits.
MOST_UNHEARD = 500
#: How long (s) a node that waits to be heard waits between two looks: a write takes as long.
UNHEARD_WAIT_S = 0.005


@dataclass(frozen=True, slots=True)
class Ended:
    """A node came back: with outputs, or with the exception that ended it."""

    node: int
    attempt: int
    outputs: Mapping[str, Value] | None
    error: BaseException | None
    execution_ms: int


@dataclass(frozen=True, slots=True)
class Told:
    """A running node says something."""

    node: int
    attempt: int
    event: Event


@dataclass(frozen=True, slots=True)
class Stale:
    """A node did not begin: its process was held up so long that another may own the run."""

    node: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Disowned:
    """The lease was not renewed: the execution belongs to another, or is final."""


@dataclass(frozen=True, slots=True)
class Commanded:
    """Something is requested of the run, or was withdrawn, or it is stopped: it is to ask."""


#: What can arrive in a run's inbox.
Arrival = Ended | Told | Stale | Disowned | Commanded


class Inbox(Protocol):
    """Where a run's arrivals go, from any thread."""

    def put(self, arrival: Arrival) -> None:
        """Hand in an arrival."""
        ...


class Mailbox(Inbox, Protocol):
    """A run's own side of its inbox."""

    def get(self, block: bool = True, timeout: float | None = None) -> Arrival:
        """Take the first arrival. Raises queue.Empty where none came within `timeout` seconds."""
        ...

    def qsize(self) -> int:
        """How many arrivals lie there."""
        ...


class Flag(Cancellation, Protocol):
    """What tells a node to end."""

    def set(self) -> None:
        """Tell it, and whoever waits."""
        ...


def begins_until(confirmed_at: float, lease_s: float) -> float:
    """Until when a node may begin without asking: well within the lease."""
    return confirmed_at + min(lease_s / 2, BEGINS_WITHIN_S)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What every node of a run is told about it."""

    execution_id: str
    root_execution_id: str
    owner_id: str
    integrations: Mapping[str, Value]
    is_child: bool
    event: Mapping[str, Value] | None = None


@dataclass(slots=True, eq=False)
class Step:
    """A started node with all that it needs to run. It is the node's context, too."""

    facts: RunFacts
    start: Start
    inputs: Mapping[str, Value]
    inbox: Inbox
    clock: Callable[[], float]
    fresh_until: float
    cancelled: Flag = field(default_factory=threading.Event)
    timed_out: bool = False
    #: How many events the node told, and how many of them its run took.
    told: int = 0
    heard: int = 0

    @property
    def execution_id(self) -> str:
        """The execution that the node runs in."""
        return self.facts.execution_id

    @property
    def root_execution_id(self) -> str:
        """The first ancestor of that execution."""
        return self.facts.root_execution_id

    @property
    def owner_id(self) -> str:
        """Who owns the flow."""
        return self.facts.owner_id

    @property
    def integrations(self) -> Mapping[str, Value]:
        """The free-form context of the execution."""
        return self.facts.integrations

    @property
    def event(self) -> Mapping[str, Value] | None:
        """The external event that drives the execution: its name and payload."""
        return self.facts.event

    @property
    def is_child(self) -> bool:
        """Whether another execution made this one."""
        return self.facts.is_child

    @property
    def node_id(self) -> str:
        """The node itself."""
        return self.start.node.id

    @property
    def attempt(self) -> int:
        """Which try this is: 1, 2, …; counted across crashes."""
        return self.start.attempt

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this node in this execution."""
        return f"{self.facts.execution_id}:{self.start.node.id}"

    def log(self, text: str, level: str = "info") -> None:
        """Send a `node:debug-log-string` event; waits where too many are on their way."""
        self._tell(EventType.NODE_DEBUG_LOG, level=level, log=str(text))

    def progress(self, fraction: float, message: str = "") -> None:
        """Send a `node:progress` event; `fraction` is 0..1. Waits as `log` does."""
        bounded = min(1.0, max(0.0, float(fraction)))
        self._tell(EventType.NODE_PROGRESS, progress=bounded, message=str(message))

    def check(self) -> None:
        """Raise NodeCancelled if the run was stopped, NodeTimeout if the node's time is up."""
        if self.cancelled.is_set():
            raise NodeTimeout() if self.timed_out else NodeCancelled()

    def sleep(self, ms: int) -> None:
        """Wait in place for at most 1,000 ms; raises as `check` does when cut short."""
        if not 0 <= ms <= MAX_SLEEP_MS:
            raise ValueError(f"sleep takes 0..{MAX_SLEEP_MS} ms: a longer wait is a SleepNode")
        self.cancelled.wait(ms / 1000)
        self.check()

    def schema(self, port: str) -> PortConfig:
        """The config that a port of this very node has, as its document shaped it."""
        return self.start.node.ports[port]

    def cancel(self, *, timed_out: bool) -> None:
        """Ask the node to end."""
        self.timed_out = timed_out
        self.cancelled.set()

    def run(self) -> None:
        """Run the node and hand in what came of it.

        Whatever a node raises is its failure: nodes are the users' code.
        """
        node, attempt = self.start.node.index, self.start.attempt
        begun = self.clock()
        if self.cancelled.is_set():
            # Given up before it began: nobody waits for it any more.
            return
        if begun > self.fresh_until:
            self.inbox.put(Stale(node, attempt))
            return
        outputs: Mapping[str, Value] | None = None
        failure: BaseException | None = None
        try:
            with bound(executionId=self.execution_id, nodeId=self.node_id):
                outputs = run_node_function(
                    self.start.node.spec, self.inputs, self, self.start.node.ports
                )
        except (Exception, SystemExit) as error:  # noqa: BLE001 — nodes are their users' code
            failure = error
        took_ms = round((self.clock() - begun) * 1000)
        self.inbox.put(Ended(node, attempt, outputs, failure, took_ms))

    def _tell(self, type_: EventType, **data: Value) -> None:
        if not self.start.node.spec.in_place:
            # One that runs in the run's own thread would wait for itself.
            self._wait_to_be_heard()
        if not self.cancelled.is_set():
            # What an attempt says that was given up is dropped, and would pile up until then.
            event = Event(type_, {"nodeId": self.node_id, **data})
            self.told += 1
            self.inbox.put(Told(self.start.node.index, self.attempt, event))

    def _wait_to_be_heard(self) -> None:
        """Hold back a node that says more than can be written: its end waits behind it all."""
        while self.told - self.heard >= MOST_UNHEARD:
            if self.cancelled.wait(UNHEARD_WAIT_S):
                return
