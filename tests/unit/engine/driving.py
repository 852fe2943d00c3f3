"""Drives an engine through a random graph and notes, at every moment, what a crash would leave."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.engine import Checkpoint, Engine, NodeFailure, NodeStatus, RunOptions, Verdict, Wiring
from app.events.types import Event, EventType
from tests.unit.engine.graphs import Graph

RETRY_AT = "2000-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Move:
    """What happens next to a node: its attempt ends, its wait for the next one, or its sleep."""

    kind: str
    node: int


Choose = Callable[[Sequence[Move]], Move]


@dataclass(frozen=True, slots=True)
class Moment:
    """What is kept of a run when it is cut off here: how much of its lists, and the grants."""

    moves: int
    checkpoints: int
    events: int
    granted: Mapping[str, int]
    tries: Counter[int]
    retried: frozenset[int]
    asleep: frozenset[int]


def outputs_of(graph: Graph, number: int, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a node makes of its inputs: a digest, so that no difference in them is lost."""
    behaviour = graph.behaviours[number]
    seen = json.dumps([number, inputs], sort_keys=True).encode()
    out = None if behaviour.is_null else {"x": hashlib.sha1(seen).hexdigest()[:8]}
    return {"out": out, "flag": behaviour.flag}


class Drive:
    """One engine on its way through a graph."""

    def __init__(self, graph: Graph, options: RunOptions) -> None:
        self.graph = graph
        self.engine = Engine(Wiring(graph.plan), options, None, graph.event)
        self.events: list[Event] = []
        self.checkpoints: list[Checkpoint] = []
        self.moves: list[Move] = []
        self.moments: list[Moment] = []
        self.verdict: Verdict | None = None
        self.most_running = 0
        #: Attempts that ended, and waits that ended without a start since, by node.
        self.tries: Counter[int] = Counter()
        self.retried: set[int] = set()
        #: Nodes that have run and wait for a timer.
        self.asleep: set[int] = set()

    def begin(self) -> None:
        """Begin a run that nothing has happened in yet."""
        self.engine.begin()
        self._note()

    def resume(self, before: Drive, moment: Moment) -> None:
        """Take up what another run left at `moment`."""
        self.tries = moment.tries.copy()
        self.asleep = set(moment.asleep)
        self.engine.restore(before.checkpoints[: moment.checkpoints], moment.granted)
        for node in moment.retried:
            self.engine.retry(node)

    def follow(self, moves: Sequence[Move]) -> None:
        """Play these moves, then end."""
        self._start_all()
        for move in moves:
            self._play(move)
            self._start_all()
        self._end()

    def finish(self, choose: Choose) -> None:
        """Let `choose` pick each move until there is none."""
        self._start_all()
        while possible := self._possible():
            self._play(choose(possible))
            self._start_all()
        self._end()

    def _possible(self) -> list[Move]:
        engine = self.engine
        waiting = [] if engine.unhandled else sorted(engine.waiting)
        ending = [Move("end", node) for node in sorted(engine.running)]
        return ending + [Move("wake" if node in self.asleep else "retry", node) for node in waiting]

    def _start_all(self) -> None:
        while (start := self.engine.start_next()) is not None:
            self.retried.discard(start.node.index)
            self.most_running = max(self.most_running, len(self.engine.running))
            self._note()

    def _play(self, move: Move) -> None:
        self.moves.append(move)
        match move.kind:
            case "retry":
                self.retried.add(move.node)
                self.engine.retry(move.node)
            case "wake":
                self.asleep.discard(move.node)
                self._complete(move.node)
            case _:
                self._end_attempt(move.node)
        self._note()

    def _end_attempt(self, node: int) -> None:
        behaviour = self.graph.behaviours[node]
        self.tries[node] += 1
        error = NodeFailure("NodeError", f"n{node} failed")
        if self.tries[node] <= behaviour.retries:
            self.engine.defer(node, error, 0, RETRY_AT)
            self._keep(node, NodeStatus.WAITING, error=error)
        elif behaviour.fails:
            self.engine.fail(node, error, 0)
            self._keep(node, NodeStatus.ERROR, error=error)
        elif behaviour.sleeps:
            self.engine.suspend(node)
            self.asleep.add(node)
            self._keep(node, NodeStatus.WAITING)
        else:
            self._complete(node)

    def _complete(self, node: int) -> None:
        self.engine.complete(node, outputs_of(self.graph, node, self.engine.inputs(node)), 0)
        self._keep(node, NodeStatus.COMPLETED, outputs=self.engine.own_outputs(node))

    def _keep(self, node: int, status: NodeStatus, **more: Any) -> None:
        node_id = self.graph.plan.nodes[node].id
        attempt = self.engine.attempts[node]
        self.checkpoints.append(Checkpoint(node_id, status, attempt, **more))

    def _end(self) -> None:
        self.verdict = self.engine.verdict()
        assert self.verdict is not None
        self.engine.conclude(self.verdict, 0)
        self.events += self.engine.take_events()

    def _note(self) -> None:
        self.events += self.engine.take_events()
        nodes = self.graph.plan.nodes
        self.moments.append(
            Moment(
                moves=len(self.moves),
                checkpoints=len(self.checkpoints),
                events=len(self.events),
                granted={nodes[n].id: self.engine.attempts[n] for n in self.engine.running},
                tries=self.tries.copy(),
                retried=frozenset(self.retried),
                asleep=frozenset(self.asleep),
            )
        )

    # -- looking back

    def statuses(self) -> list[str]:
        """The status of each node in document order."""
        return [str(status) for status in self.engine.status]

    def outputs(self) -> dict[int, dict[str, Any]]:
        """What the completed nodes gave."""
        return {
            node: self.engine.own_outputs(node)
            for node, status in enumerate(self.engine.status)
            if status is NodeStatus.COMPLETED
        }

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """The events without the attempts, which a crash counts on."""
        return [without_attempt(event) for event in self.events]


def without_attempt(event: Event) -> tuple[str, dict[str, Any]]:
    """An event as a run that was cut off tells it, too."""
    data = {name: value for name, value in event.data.items() if name != "attempt"}
    return str(event.type), data


def without_restarts(events: Sequence[Event], granted: Mapping[str, int]) -> list[Event]:
    """Events without the new start of what was granted before, and what was told along with it."""
    kept = []
    restarted = None
    for event in events:
        if event.type is EventType.NODE_STARTED:
            node_id = event.data["nodeId"]
            again = event.data["attempt"] == granted.get(node_id, 0) + 1 and node_id in granted
            restarted = node_id if again else None
        elif event.type is not EventType.EDGE_TRANSFER_COMPLETED:
            restarted = None
        if restarted is None:
            kept.append(event)
    return kept
