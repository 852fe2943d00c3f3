"""What a node in this process may ask of its run; the time that it sees passes by sleeping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.engine import Start
from app.errors import NodeTimeout
from app.events.types import Event, EventType
from app.values.ports import PortConfig, Value

#: The only execution of its world; ids are "EX" and 24 characters everywhere.
EXECUTION_ID = "EX" + "2" * 24
OWNER_ID = "local"

#: The longest that `ctx.sleep` waits in place, in milliseconds.
MAX_SLEEP_MS = 1000

Tell = Callable[[Event], object]


@dataclass(slots=True)
class AttemptTime:
    """The virtual time of one attempt: it passes only where the node waits.

    It is the node's cancellation, too: nobody stops such a run, but an attempt's time can be
    up. A loop of sleeps ends there, as it would with a real clock.
    """

    limit_ms: int
    elapsed_ms: float = 0.0

    def is_set(self) -> bool:
        """Whether the time is up."""
        return self.elapsed_ms >= self.limit_ms

    def wait(self, timeout: float | None = None) -> bool:
        """Let up to `timeout` seconds pass, without one all that is left."""
        until_ms = self.limit_ms if timeout is None else self.elapsed_ms + timeout * 1000
        self.elapsed_ms = min(self.limit_ms, until_ms)
        return self.is_set()


@dataclass(frozen=True, slots=True)
class LocalContext:
    """The context of one attempt of a node (app.nodes.spec.NodeContext)."""

    start: Start
    cancelled: AttemptTime
    tell: Tell
    integrations: Mapping[str, Value] = field(default_factory=dict)

    @property
    def execution_id(self) -> str:
        """The execution that the node runs in."""
        return EXECUTION_ID

    @property
    def root_execution_id(self) -> str:
        """The same: it has no ancestors."""
        return EXECUTION_ID

    @property
    def owner_id(self) -> str:
        """Who owns the flow."""
        return OWNER_ID

    @property
    def event(self) -> Mapping[str, Value] | None:
        """The external event that drives the execution: none."""
        return None

    @property
    def is_child(self) -> bool:
        """Whether another execution made this one."""
        return False

    @property
    def node_id(self) -> str:
        """The node itself."""
        return self.start.node.id

    @property
    def attempt(self) -> int:
        """Which try this is: 1, 2, …"""
        return self.start.attempt

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this node."""
        return f"{EXECUTION_ID}:{self.start.node.id}"

    def log(self, text: str, level: str = "info") -> None:
        """Add a `node:debug-log-string` event."""
        self._say(EventType.NODE_DEBUG_LOG, level=level, log=str(text))

    def progress(self, fraction: float, message: str = "") -> None:
        """Add a `node:progress` event; `fraction` is 0..1."""
        bounded = min(1.0, max(0.0, float(fraction)))
        self._say(EventType.NODE_PROGRESS, progress=bounded, message=str(message))

    def check(self) -> None:
        """Raise NodeTimeout if the attempt's time is up."""
        if self.cancelled.is_set():
            raise NodeTimeout(f"not done within {self.cancelled.limit_ms} ms")

    def sleep(self, ms: int) -> None:
        """Let at most 1,000 ms of virtual time pass; raises as `check` does when cut short."""
        if not 0 <= ms <= MAX_SLEEP_MS:
            raise ValueError(f"sleep takes 0..{MAX_SLEEP_MS} ms: a longer wait is a SleepNode")
        self.cancelled.wait(ms / 1000)
        self.check()

    def schema(self, port: str) -> PortConfig:
        """The config that a port of this very node has, as its document shaped it."""
        return self.start.node.ports[port]

    def _say(self, type_: EventType, **data: Value) -> None:
        self.tell(Event(type_, {"nodeId": self.node_id, **data}))
