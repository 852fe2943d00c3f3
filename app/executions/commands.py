"""What is asked of a run from outside, as the run acts on it: pause, step, breakpoints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.engine import Engine, Start
from app.events.types import Event, EventType
from app.executions.writer import Writer
from app.store.records import Pausing

#: What a pause, a stop say where no reason is given.
PAUSED_BY_USER = "paused by user"
STOPPED_BY_USER = "stopped by user"


@dataclass(frozen=True, slots=True)
class Halt:
    """How a run pauses: what it tells, and what it waits for then."""

    events: Sequence[Event]
    pausing: Pausing


class Commands:
    """Decides what may start, and when the run pauses. For the run's own thread.

    The writer knows what is requested. Before the first start of a node in `breakpoints` the
    run pauses, but for those `hit` before.
    """

    def __init__(self, writer: Writer, breakpoints: Iterable[str], hit: Iterable[str]) -> None:
        self._writer = writer
        self._breakpoints = frozenset(breakpoints) - frozenset(hit)
        self._hit: str | None = None
        self._is_stepped = False

    @property
    def pauses_first(self) -> bool:
        """Whether the run pauses even where it could end."""
        request = self._writer.request
        return request is not None and request.command == "pause"

    def take_starts(self, engine: Engine) -> list[Start]:
        """Start what may start now."""
        starts = []
        while self._lets_start(engine) and (start := engine.start_next()) is not None:
            starts.append(start)
            self._is_stepped = True
        return starts

    def take_back(self, engine: Engine, starts: Sequence[Start]) -> None:
        """These were not granted: a command came before."""
        for start in reversed(starts):
            engine.withdraw(start)
        self._is_stepped = False

    def count_step(self) -> None:
        """A node was settled that another process had started for this run."""
        self._is_stepped = True

    def halt(self, engine: Engine) -> Halt | None:
        """How the run pauses now; None where it goes on."""
        if engine.running:
            return None
        request = self._writer.request
        if request is None:
            return None if self._hit is None else _at_breakpoint(self._hit)
        if request.command == "pause":
            return _halt(request.reason or PAUSED_BY_USER)
        if self._is_stepped or engine.next_start() is None:
            return _halt("step")
        return None

    def _lets_start(self, engine: Engine) -> bool:
        request = self._writer.request
        if request is not None:
            is_open = not self._is_stepped and not engine.running
            return request.command == "step" and is_open
        self._hit = self._next_breakpoint(engine) if self._breakpoints else None
        return self._hit is None

    def _next_breakpoint(self, engine: Engine) -> str | None:
        node = engine.next_start()
        # A node that was started before is past its breakpoint.
        if node is None or engine.attempts[node]:
            return None
        node_id = engine.plan.nodes[node].id
        return node_id if node_id in self._breakpoints else None


def _halt(reason: str) -> Halt:
    return Halt([Event(EventType.FLOW_PAUSED, {"reason": reason})], Pausing())


def _at_breakpoint(node_id: str) -> Halt:
    hit = Event(EventType.BREAKPOINT_HIT, {"nodeId": node_id})
    paused = Event(EventType.FLOW_PAUSED, {"reason": "breakpoint"})
    return Halt([hit, paused], Pausing("breakpoint", node_id))
