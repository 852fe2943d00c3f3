"""One step of a run: a node on its way through a thread, and what it hands to the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from math import inf
from typing import Any

from app.engine import Start
from app.errors import (
    NodeCancelled,
    NodeError,
    NodeTimeout,
    NonRetryableError,
)
from app.events.types import Event, EventType
from app.events.wire import to_json
from app.executions.arrivals import Ended, Inbox, Resolved, Stale, Streamed, Told
from app.executions.channels import Channel, ChannelReader, Flag
from app.executions.flags import LazyFlag
from app.executions.secrecy import Secrecy
from app.executions.secrets import Vault
from app.executions.tracing import UNTRACED, Tracing
from app.logs import bound
from app.nodes.calling import CallingFlow
from app.nodes.emission import Emission, emission
from app.nodes.fan_out import FanningOut
from app.nodes.invoke import run_node_function
from app.nodes.signal import AwaitingSignal
from app.nodes.spec import LONGEST_SLEEP_MS
from app.nodes.streams import OutputStream
from app.nodes.timer import Sleeping
from app.store.records import Fence
from app.values.checks import check_value
from app.values.plain import plain_copy
from app.values.ports import SYSTEM_PORTS, PortConfig, PortType, Value
from app.values.streams import items_of, stream_value

#: A node begins within so long (s) after its run was last known to be its process's; else the
#: store is asked first. So none begins long after a stop, for whose effect callers wait 0.1 s.
BEGINS_WITHIN_S = 0.15

#: So many events of a node may be on their way to its run; then the node waits.
MOST_UNHEARD = 500
#: How long (s) a node that waits to be heard waits between two looks: a write takes as long.
UNHEARD_WAIT_S = 0.005
#: The most bytes of JSON that an output may have, unless a setting says otherwise.
MAX_VALUE_BYTES = 1024 * 1024


#: What a node raises that goes on without its process: nobody would be left to send its streams.
_WAITS = (Sleeping, AwaitingSignal, FanningOut)


def outcome_of(error: BaseException | None) -> str:
    """What came of an attempt, in a word: `completed`, `waits`, `timeout` or `failed`."""
    match error:
        case None:
            return "completed"
        case Sleeping() | AwaitingSignal() | FanningOut() | CallingFlow():
            return "waits"
        case NodeTimeout():
            return "timeout"
        case _:
            return "failed"


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
    #: What the nodes run under; None where there are no claims.
    fence: Fence | None = None

    @property
    def log_fields(self) -> dict[str, Value]:
        """What every line of the run carries."""
        fields: dict[str, Value] = {"executionId": self.execution_id}
        return fields if self.fence is None else {**fields, "epoch": self.fence.epoch}


@dataclass(slots=True, eq=False)
class Step:
    """A started node with all that it needs to run. It is the node's context, too."""

    facts: RunFacts
    start: Start
    inputs: Mapping[str, Value]
    inbox: Inbox
    clock: Callable[[], float]
    fresh_until: float
    cancelled: Flag = field(default_factory=LazyFlag)
    timed_out: bool = False
    #: When the node's time is up, on the clock (s), and how much it has (ms).
    due: float = inf
    limit_ms: int = 0
    #: Of a step that was sent: the epoch of its claim.
    claim_epoch: int = 0
    told_to_end_at: float = field(default=inf, init=False)
    #: The most bytes of JSON that an output may have.
    max_value_bytes: int = MAX_VALUE_BYTES
    flag: Callable[[], Flag] = LazyFlag
    #: The live streams that the node reads, and those that it sends, by port.
    readers: Sequence[ChannelReader] = ()
    channels: dict[str, Channel] = field(default_factory=dict, init=False)
    #: The outputs that the node gave before its end, as it gave them.
    given: dict[str, Value] = field(default_factory=dict, init=False)
    #: How many events the node told, and how many of them its run took.
    told: int = 0
    heard: int = 0
    #: What opens secrets here, and what the node has opened.
    vault: Vault | None = None
    tracing: Tracing = UNTRACED
    secrecy: Secrecy = field(init=False)
    #: The events that the node emitted, in order.
    emitted: list[Emission] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.secrecy = Secrecy(self.vault, self.facts.owner_id, self.start.node)
        for port in self.start.node.streams:
            self.channels[port] = self._channel(port)
        for reader in self.readers:
            reader.belong_to(self.check)

    def _channel(self, port: str) -> Channel:
        return Channel(
            port,
            self.start.node.spec.ports[port],
            self.max_value_bytes,
            flag=self.flag,
            clock=self.clock,
            check=self.check,
            on_news=lambda: self.inbox.put(Streamed(self.start.node.index, self.attempt)),
            hide=self.secrecy.hide,
        )

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

    def emit(self, name: str, payload: Mapping[str, Value] | None = None) -> None:
        """Have a child execution made for an event, once the node completes."""
        made = emission(name, payload)
        self.emitted.append(Emission(self.secrecy.hide(made.name), self.secrecy.hide(made.payload)))

    def stream(self, port: str) -> OutputStream:
        """The stream of one of the node's outputs; who reads it may start at the first call.

        Raises NodeError for a port that isn't a stream that the node gives.
        """
        channel = self.channels.get(port)
        if channel is None:
            raise NodeError(f"'{port}' is no stream that the node gives")
        self._give(port, stream_value(is_closed=False))
        return channel

    def resolve(self, port: str, value: Any) -> None:
        """Give an output before the node's end; what it feeds may start. The first value stands.

        Raises NodeError for a port that isn't the node's to give, or a value that it refuses.
        """
        config = self.start.node.spec.ports.get(port)
        if config is None or not config.gives_output or port in SYSTEM_PORTS:
            raise NodeError(f"'{port}' is none of the node's outputs")
        if config.type is PortType.STREAM:
            raise NodeError(f"output '{port}' is a stream: send into it")
        try:
            copied = plain_copy(value)
        except ValueError as error:
            raise NodeError(f"output '{port}' is no value: {error}") from error
        fault = check_value(config, copied)
        if fault is not None:
            raise NodeError(f"output '{port}': {fault}")
        copied = self.secrecy.handed_out({port: copied})[port]
        size = len(to_json(copied))
        if size > self.max_value_bytes:
            allowed = f"{self.max_value_bytes} are allowed"
            raise NonRetryableError(f"output '{port}' has {size} bytes of JSON; {allowed}")
        self._give(port, copied)

    def _give(self, port: str, value: Value) -> None:
        if port not in self.given and not self.cancelled.is_set():
            self.given[port] = value
            self.inbox.put(Resolved(self.start.node.index, self.attempt, port, value))

    def take_chunks(self) -> list[Event]:
        """What was sent since the last call, as events: one for each stream."""
        return [
            Event(
                EventType.NODE_STREAM_CHUNK,
                {"nodeId": self.node_id, "portId": port, "items": items},
            )
            for port, channel in self.channels.items()
            if (items := channel.take_untold())
        ]

    def streamed(self) -> dict[str, Value]:
        """The streams that the node opened, as values: what was sent, closed only by itself."""
        return {port: self.channels[port].value() for port in self.given if port in self.channels}

    def check(self) -> None:
        """Raise NodeCancelled if the run was stopped, NodeTimeout if the node's time is up."""
        if self.cancelled.is_set():
            raise NodeTimeout() if self.timed_out else NodeCancelled()

    def sleep(self, ms: int) -> None:
        """Wait in place for at most 1,000 ms; raises as `check` does when cut short."""
        if not 0 <= ms <= LONGEST_SLEEP_MS:
            raise ValueError(f"sleep takes 0..{LONGEST_SLEEP_MS} ms: a longer wait is a SleepNode")
        self.cancelled.wait(ms / 1000)
        self.check()

    def secret(self, secret: Value) -> Value:
        """What a secret holds: one in a port, or one of the owner's by its id or name."""
        return self.secrecy.open(secret, self.cancelled, self.check)

    def schema(self, port: str) -> PortConfig:
        """The config that a port of this very node has, as its document shaped it."""
        return self.start.node.ports[port]

    def cancel(self, *, timed_out: bool) -> None:
        """Ask the node to end."""
        self.timed_out = timed_out
        self.told_to_end_at = min(self.told_to_end_at, self.clock())
        self.cancelled.set()
        for reader in self.readers:
            reader.wake()

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
            with bound(**self.facts.log_fields, nodeId=self.node_id, attempt=attempt), self._span():
                inputs = self.secrecy.taken_in(self.inputs)
                returned = run_node_function(
                    self.start.node.spec, inputs, self, self.start.node.ports
                )
            outputs = self._with_given(self.secrecy.handed_out(returned))
        except (Exception, SystemExit) as error:  # noqa: BLE001 — nodes are their users' code
            failure = self.secrecy.hide_in_error(error)
            if self.given and isinstance(error, _WAITS):
                failure = NonRetryableError(
                    "a node that gave an output can't wait outside a worker"
                )
        self.secrecy.end()
        took_ms = round((self.clock() - begun) * 1000)
        self.inbox.put(Ended(node, attempt, outputs, failure, took_ms, self.emitted))

    def _span(self) -> AbstractContextManager[object]:
        fence, node = self.facts.fence, self.start.node
        if fence is None:
            return nullcontext()
        return self.tracing.node(fence, node.id, node.spec.type, self.attempt)

    def _with_given(self, returned: Mapping[str, Value]) -> dict[str, Value]:
        """The outputs of the node: what it gave before stands, and its streams end."""
        for channel in self.channels.values():
            channel.seal()
        unsent = {port: stream_value() for port in self.channels}
        sent = {port: stream_value(items_of(value)) for port, value in self.streamed().items()}
        return {**unsent, **returned, **self.given, **sent}

    def _tell(self, type_: EventType, **data: Value) -> None:
        if not self.start.node.spec.in_place:
            # One that runs in the run's own thread would wait for itself.
            self._wait_to_be_heard()
        if not self.cancelled.is_set():
            # What an attempt says that was given up is dropped, and would pile up until then.
            event = Event(type_, {"nodeId": self.node_id, **self.secrecy.hide(data)})
            self.told += 1
            self.inbox.put(Told(self.start.node.index, self.attempt, event))

    def _wait_to_be_heard(self) -> None:
        """Hold back a node that says more than can be written: its end waits behind it all."""
        while self.told - self.heard >= MOST_UNHEARD:
            if self.cancelled.wait(UNHEARD_WAIT_S):
                return
