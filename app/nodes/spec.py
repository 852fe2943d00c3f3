"""What the engine knows of a node type, and what a running node knows of its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from app.nodes.streams import OutputStream
from app.values.ports import PortConfig, Value

#: The longest that `ctx.sleep` waits in place, in milliseconds.
LONGEST_SLEEP_MS = 1000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon a failed node runs again (docs/flows.md, rule 7).

    `max_attempts` 1..100 counts the first; waits grow from `backoff_ms` by `backoff_factor`
    up to `max_backoff_ms`, all in milliseconds.
    """

    max_attempts: int = 1
    backoff_ms: int = 0
    backoff_factor: float = 1.0
    max_backoff_ms: int = 86_400_000

    def backoff_after(self, attempt: int) -> int:
        """Milliseconds to wait after the failure of `attempt` (1, 2, …) before the next."""
        try:
            grown = self.backoff_ms * self.backoff_factor ** (attempt - 1)
        except OverflowError:
            return self.max_backoff_ms
        return int(min(grown, self.max_backoff_ms))


class Cancellation(Protocol):
    """An event to wait on; set once the run is stopped or the node's time is up."""

    def is_set(self) -> bool:
        """Whether the node should end."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds; True as soon as the node should end."""
        ...


class NodeContext(Protocol):
    """What a running node may ask of, and tell, the run that it is part of."""

    @property
    def execution_id(self) -> str:
        """The execution that the node runs in."""
        ...

    @property
    def root_execution_id(self) -> str:
        """The first ancestor of that execution; itself where it has none."""
        ...

    @property
    def node_id(self) -> str:
        """The node itself."""
        ...

    @property
    def attempt(self) -> int:
        """Which try this is: 1, 2, …; counted across crashes."""
        ...

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this node in this execution."""
        ...

    @property
    def owner_id(self) -> str:
        """Who owns the flow."""
        ...

    @property
    def integrations(self) -> Mapping[str, Value]:
        """The free-form context of the execution."""
        ...

    @property
    def event(self) -> Mapping[str, Value] | None:
        """The external event that drives the execution: its name and payload."""
        ...

    @property
    def is_child(self) -> bool:
        """Whether another execution made this one."""
        ...

    @property
    def cancelled(self) -> Cancellation:
        """Set once the node should end."""
        ...

    def log(self, text: str, level: str = "info") -> None:
        """Send a `node:debug-log-string` event; waits where too many are on their way."""
        ...

    def progress(self, fraction: float, message: str = "") -> None:
        """Send a `node:progress` event; `fraction` is 0..1."""
        ...

    def emit(self, name: str, payload: Mapping[str, Value] | None = None) -> None:
        """Have a child execution made of this flow, for the event `name`.

        It is made once the node completes, with its checkpoint: what an attempt emits that
        fails comes to nothing. Raises NodeError for a name or a payload that can't be.
        """
        ...

    def check(self) -> None:
        """Raise NodeCancelled if the run was stopped, NodeTimeout if the node's time is up."""
        ...

    def sleep(self, ms: int) -> None:
        """Wait in place for at most 1,000 ms; raises as `check` does when cut short."""
        ...

    def stream(self, port: str) -> OutputStream:
        """The stream of one of the node's outputs; who reads it may start at the first call.

        Raises NodeError for a port that isn't a stream that the node gives.
        """
        ...

    def resolve(self, port: str, value: Any) -> None:
        """Give an output before the node's end; what it feeds may start. The first value stands.

        Raises NodeError for a port that isn't the node's to give, or a value that it refuses.
        """
        ...

    def secret(self, secret: Value) -> Value:
        """What a secret holds: one in a port, or one of the owner's by its id or name.

        From then on its texts are masked in all that leaves the node. Raises NonRetryableError
        where there is none, or where it can't be opened here.
        """
        ...

    def schema(self, port: str) -> PortConfig:
        """The config that a port of this very node has, as its document shaped it."""
        ...


#: Inputs by root port id (defaults filled in) and the context; gives outputs by root port id.
#: Raises NodeError, or anything else, which counts as a failure of that type.
Invoke = Callable[[Mapping[str, Value], NodeContext], Mapping[str, Value]]

#: The ports that follow from stored values by root port id.
MorePorts = Callable[[Mapping[str, Value]], Mapping[str, PortConfig]]


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node type: its own ports in order (system ports not among them) and how to run it.

    `effects=False` promises: same inputs, same outputs, nothing else touched.
    `in_place` promises that it never waits and does little more than hand its values on: it
    runs in the thread that drives the run, and no other is woken for it.
    `extra_ports` says whether a document may add ports of its own to this type. `more_ports`
    gives those that follow from the values that a document stores; it raises ValueError with a
    sentence. At a `lenient` port a value of another type counts as the default. `place` says
    where it is defined: file, line, function.
    """

    type: str
    category: str
    ports: Mapping[str, PortConfig]
    invoke: Invoke
    title: str = ""
    description: str = ""
    effects: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_ms: int | None = None
    queue: str | None = None
    deprecated: bool = False
    in_place: bool = False
    extra_ports: bool = False
    tags: tuple[str, ...] = ()
    more_ports: MorePorts | None = None
    lenient: frozenset[str] = frozenset()
    place: str = ""

    def configured(self, values: Mapping[str, Value]) -> NodeSpec:
        """The same with all the ports that it has with these stored values.

        Raises ValueError with a sentence on why it can't have them.
        """
        if self.more_ports is None:
            return self
        return replace(self, ports={**self.ports, **self.more_ports(values)}, more_ports=None)


#: Node types by name.
Catalogue = Mapping[str, NodeSpec]
