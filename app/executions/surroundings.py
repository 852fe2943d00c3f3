"""What the runs of a process share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue
from random import SystemRandom
from typing import TypeVar

from app.engine import Start, Wiring
from app.executions.arrivals import Ended, Inbox, Mailbox
from app.executions.channels import ChannelReader, Flag
from app.executions.flags import LazyFlag
from app.executions.herald import SILENCE, Herald
from app.executions.meter import UNMEASURED, Meter
from app.executions.plans import PlanCache
from app.executions.secrets import Vault
from app.executions.steps import RunFacts, Step, outcome_of
from app.executions.tracing import UNTRACED, Tracing
from app.executions.writer import Pause, Publish, insist
from app.ids import IdSource, id_source
from app.store.protocol import RunStore
from app.values.ports import Value

T = TypeVar("T")

#: Sends steps (execution, queue of each node) to whichever workers consume those queues.
SendSteps = Callable[[str, Mapping[str, str]], object]

RANDOM_IDS = id_source(SystemRandom())


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """How deep a tree of executions may be, how many children one execution may make, and how
    many items a node may have, each of which is made a child.
    """

    depth: int = 100
    children: int = 100
    items: int = 10_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What runs share in a process.

    `clock` is monotonic, in seconds; `launch` runs a step in a thread of its own; `send`, where
    there are other processes, sends steps to them: all if `sends_all`, else those of nodes with a
    queue of their own; `linger` waits a moment for an execution that is offered to whoever is
    awake; `is_draining` says that the process is to end: no node starts any more; `let_go` hears of
    an execution that was taken from this process, once nothing of it begins here any more; `vault`
    opens secrets for nodes; `herald` tells others what a run did beyond itself. `fresh_id` names children, of which there are no more than `limits` say.
    `only_watched`: events of an execution that nobody ever asked to watch aren't published.
    `mailbox` and `flag` make what threads hand each other things with; `meter` counts,
    `tracing` tells of runs and nodes.
    """

    store: RunStore
    publish: Publish
    plans: PlanCache
    launch: Callable[[Step], None]
    clock: Callable[[], float]
    pause: Pause
    lease_s: float
    max_value_bytes: int
    is_draining: Callable[[], bool]
    send: SendSteps | None = None
    sends_all: bool = False
    linger: Callable[[], str | None] = lambda: None
    let_go: Callable[[str], object] = lambda _: None
    vault: Vault | None = None
    herald: Herald = SILENCE
    fresh_id: IdSource = RANDOM_IDS
    limits: ChildLimits = ChildLimits()
    only_watched: bool = False
    mailbox: Callable[[], Mailbox] = SimpleQueue
    flag: Callable[[], Flag] = LazyFlag
    meter: Meter = UNMEASURED
    tracing: Tracing = UNTRACED

    def insist(self, ask: Callable[[], T]) -> T:
        """Ask the store until it answers: whoever holds an execution holds it through an outage."""
        return insist(ask, self.pause)

    def now(self) -> datetime:
        """The time by the store's clock."""
        return insist(self.store.now, self.pause)

    def ms_since(self, told: str) -> int:
        """How long (ms) a time (ISO 8601) is past, by the store's clock."""
        return round((self.now() - datetime.fromisoformat(told)).total_seconds() * 1000)

    def wiring(self, flow_id: str, version: int) -> Wiring:
        """The plan of a flow version. Raises ValidationFailed where it can't run here any more."""
        document = self.store.document
        return insist(lambda: self.plans.get(flow_id, version, document), self.pause)

    def step(
        self,
        facts: RunFacts,
        start: Start,
        inputs: Mapping[str, Value],
        inbox: Inbox,
        fresh_until: float,
        readers: Sequence[ChannelReader] = (),
    ) -> Step:
        """A step that may begin until `fresh_until`, in seconds of the clock.

        `readers` are the live streams among its inputs.
        """
        return Step(
            facts=facts,
            start=start,
            inputs=inputs,
            inbox=inbox,
            clock=self.clock,
            fresh_until=fresh_until,
            cancelled=self.flag(),
            max_value_bytes=self.max_value_bytes,
            flag=self.flag,
            readers=readers,
            vault=self.vault,
            tracing=self.tracing,
        )

    def count(self, step: Step, ended: Ended) -> None:
        """Count an attempt that ended."""
        type_, outcome = step.start.node.spec.type, outcome_of(ended.error)
        self.meter.node_ended(type_, outcome, ended.execution_ms / 1000)
