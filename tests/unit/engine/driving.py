"""Drives an engine through a random graph and notes, at every moment, what a crash would leave."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.engine import (
    Checkpoint,
    Engine,
    NodeFailure,
    NodeStatus,
    Record,
    Resolution,
    RunOptions,
    Verdict,
    Wiring,
)
from app.engine.state import SETTLED
from app.events.types import Event, EventType
from app.values.streams import stream_value
from tests.unit.engine.graphs import Graph

RETRY_AT = "2000-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Move:
    """What happens next to a node: it gives an output, its attempt ends, its wait or its sleep."""

    kind: str
    node: int


Choose = Callable[[Sequence[Move]], Move]


@dataclass(frozen=True, slots=True)
class Moment:
    """What is kept of a run when it is cut off here: how much of its lists, and the grants.

    `running` are those of the granted that run, with their attempts.
    """

    moves: int
    records: int
    events: int
    granted: Mapping[str, int]
    running: Mapping[str, int]
    tries: Counter[int]
    retried: frozenset[int]
    asleep: frozenset[int]


def outputs_of(graph: Graph, number: int, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a node makes of its inputs: a digest, so that no difference in them is lost.

    A stream is no part of it: it may be open still.
    """
    behaviour = graph.behaviours[number]
    read = {port: value for port, value in inputs.items() if port != "stream"}
    seen = json.dumps([number, read], sort_keys=True).encode()
    digest = hashlib.sha1(seen).hexdigest()[:8]
    out = None if behaviour.is_null else {"x": digest}
    return {"out": out, "flag": behaviour.flag, "items": stream_value([digest])}


def given_early(port: str, outputs: Mapping[str, Any]) -> Any:
    """An output as a node gives it before its end."""
    return stream_value(is_closed=False) if port == "items" else outputs[port]


class Drive:
    """One engine on its way through a graph."""

    def __init__(self, graph: Graph, options: RunOptions) -> None:
        self.graph = graph
        self.engine = Engine(Wiring(graph.plan), options, None, graph.event)
        self.events: list[Event] = []
        self.records: list[Record] = []
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
        self.engine.restore(before.records[: moment.records], moment.granted)
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
        going = [
            Move("end" if self._ungiven(node) is None else "give", node)
            for node in sorted(engine.running)
        ]
        return going + [Move("wake" if node in self.asleep else "retry", node) for node in waiting]

    def _ungiven(self, node: int) -> str | None:
        """The next output that a node has to give before its end."""
        given = self.engine.early.outputs.get(node, {})
        return next((p for p in self.graph.behaviours[node].early if p not in given), None)

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
            case "give":
                self._give(move.node)
            case _:
                self._end_attempt(move.node)
        self._note()

    def _give(self, node: int) -> None:
        port = self._ungiven(node)
        assert port is not None
        value = given_early(port, outputs_of(self.graph, node, self.engine.inputs(node)))
        assert self.engine.resolve(node, port, value)
        self.records.append(Resolution(self.graph.plan.nodes[node].id, {port: value}))

    def _end_attempt(self, node: int) -> None:
        behaviour = self.graph.behaviours[node]
        self.tries[node] += 1
        error = NodeFailure("NodeError", f"n{node} failed")
        if self.tries[node] <= behaviour.retries:
            self.engine.defer(node, error, 0, RETRY_AT)
            self._keep(node, NodeStatus.WAITING, error=error)
        elif behaviour.fails:
            self.engine.fail(node, error, 0)
            left = self.engine.own_outputs(node) or None
            self._keep(node, NodeStatus.ERROR, error=error, outputs=left)
        elif behaviour.sleeps and not behaviour.early:
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
        self.records.append(Checkpoint(node_id, status, attempt, **more))

    def _end(self) -> None:
        self.verdict = self.engine.verdict()
        assert self.verdict is not None
        self.engine.conclude(self.verdict, 0)
        self.events += self.engine.take_events()

    def assert_readers_run_beside_their_sources(self) -> None:
        """Nobody waits for a stream into which nobody sends."""
        engine, plan = self.engine, self.graph.plan
        for reader in engine.running:
            for edge in map(plan.edges.__getitem__, engine.chosen_edges(reader)):
                if edge.target_path == ("stream",) and engine.status[edge.source] not in SETTLED:
                    assert edge.source in engine.running

    def _note(self) -> None:
        self.assert_readers_run_beside_their_sources()
        self.events += self.engine.take_events()
        nodes = self.graph.plan.nodes
        self.moments.append(
            Moment(
                moves=len(self.moves),
                records=len(self.records),
                events=len(self.events),
                granted=self.engine.granted,
                running={nodes[n].id: self.engine.attempts[n] for n in self.engine.running},
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


def without_restarts(events: Sequence[Event], running: Mapping[str, int]) -> list[Event]:
    """Events without the new start of what ran before, and what was told along with it."""
    kept = []
    restarted = None
    for event in events:
        if event.type is EventType.NODE_STARTED:
            node_id = event.data["nodeId"]
            again = event.data["attempt"] == running.get(node_id, 0) + 1 and node_id in running
            restarted = node_id if again else None
        elif event.type is not EventType.EDGE_TRANSFER_COMPLETED:
            restarted = None
        if restarted is None:
            kept.append(event)
    return kept
