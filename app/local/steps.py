"""A node in the calling thread: its step, and what it hands in meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.engine import Start
from app.events.types import Event
from app.executions.arrivals import Arrival, Ended, Resolved, Streamed, Told
from app.executions.secrets import Vault
from app.executions.steps import RunFacts, Step
from app.values.ports import Value

#: Who runs what has no other owner.
OWNER_ID = "local"

Tell = Callable[[Event], object]


@dataclass(slots=True)
class AttemptTime:
    """The virtual time of one attempt: it passes only where the node waits.

    It is the node's cancellation, too: nobody stops such a run, but an attempt's time can be
    up. A loop of sleeps ends there, as it would with a real clock.
    """

    limit_ms: float
    elapsed_ms: float = 0.0

    def is_set(self) -> bool:
        """Whether the time is up."""
        return self.elapsed_ms >= self.limit_ms

    def set(self) -> None:
        """Have the time be up."""
        self.elapsed_ms = self.limit_ms

    def wait(self, timeout: float | None = None) -> bool:
        """Let up to `timeout` seconds pass, without one all that is left."""
        until_ms = self.limit_ms if timeout is None else self.elapsed_ms + timeout * 1000
        self.elapsed_ms = min(self.limit_ms, until_ms)
        return self.is_set()

    def clock(self) -> float:
        """The time in seconds."""
        return self.elapsed_ms / 1000


@dataclass(slots=True)
class _Inbox:
    """Hears one step, at once."""

    tell: Tell
    arrivals: list[Ended] = field(default_factory=list)
    step: Step | None = None

    def put(self, arrival: Arrival) -> None:
        """Take what a step hands in."""
        match arrival:
            case Told(event=event):
                if self.step is not None:
                    self.step.heard += 1
                self.tell(event)
            case Ended():
                if self.step is not None:
                    for chunk in self.step.take_chunks():
                        self.tell(chunk)
                self.arrivals.append(arrival)
            case Streamed() | Resolved():
                # Nobody reads beside it: it counts, and is told, at its end.
                pass
            case _:
                raise AssertionError("nobody else could own it")


def run_step(
    start: Start,
    inputs: Mapping[str, Value],
    facts: RunFacts,
    *,
    tell: Tell,
    time: AttemptTime,
    vault: Vault | None = None,
) -> Ended:
    """Run a started node to its end; what it says is told at once."""
    inbox = _Inbox(tell)
    inbox.step = Step(
        facts=facts,
        start=start,
        inputs=inputs,
        inbox=inbox,
        clock=time.clock,
        fresh_until=float("inf"),
        cancelled=time,
        timed_out=True,
        vault=vault,
    )
    inbox.step.run()
    [ended] = inbox.arrivals
    return ended


def facts_of(execution_id: str, integrations: Mapping[str, Value]) -> RunFacts:
    """The facts of an execution that has no ancestors."""
    return RunFacts(execution_id, execution_id, OWNER_ID, integrations, is_child=False)
