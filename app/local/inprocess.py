"""Drives a flow to its end in the calling thread: no store, no broker, no clock, no chance.

The same document, inputs and order of finishing give the same result, events included. Time
is virtual: it passes where nodes sleep and retries wait, and costs nothing. No signal ever comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Literal

from app.engine import (
    Engine,
    Failure,
    NodeFailure,
    NodeStatus,
    RunOptions,
    Start,
    Verdict,
    Wiring,
)
from app.engine.retries import retry_delay_ms
from app.engine.state import SETTLED, as_node_failure
from app.errors import NodeError, NodeTimeout, NonRetryableError
from app.events.types import Event, EventType
from app.events.wire import timestamp
from app.executions.steps import RunFacts
from app.flows import overlay_inputs, prepare
from app.flows.plan import Plan
from app.local.steps import OWNER_ID, AttemptTime, facts_of, run_step
from app.nodes.calling import CallingFlow
from app.nodes.emission import Emission
from app.nodes.fan_out import FanningOut
from app.nodes.signal import PAYLOAD, TIMED_OUT, AwaitingSignal
from app.nodes.spec import Catalogue
from app.nodes.timer import Sleeping
from app.values.copying import copy_value
from app.values.ports import Value

#: The only execution of its world; ids are "EX" and 24 characters everywhere.
EXECUTION_ID = "EX" + "2" * 24
_FACTS = facts_of(EXECUTION_ID, {})

#: When every run begins.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

#: How long (ms) an attempt may take where the node does not say.
NODE_TIMEOUT_MS = 3_600_000

#: Given the ids of the running nodes in the order of their starts: which one ends next.
Order = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of a node; `outputs` are empty unless it completed."""

    status: NodeStatus
    outputs: Mapping[str, Value]
    error: NodeFailure | None
    attempt: int


@dataclass(frozen=True, slots=True)
class LocalResult:
    """What became of a run: its nodes by id in document order, and every event that it told.

    `emitted` are the events for each of which it would have a child; none is run.
    """

    status: Literal["completed", "failed"]
    nodes: Mapping[str, NodeResult]
    events: Sequence[Event]
    error: Failure | None
    emitted: Sequence[Emission] = ()


def run_in_process(
    flow_document: Value,
    catalogue: Catalogue,
    *,
    inputs: Mapping[str, Mapping[str, Value]] | None = None,
    options: RunOptions | None = None,
    order: Order | None = None,
    event: Mapping[str, Value] | None = None,
) -> LocalResult:
    """Run a flow to its end.

    `inputs` are `{nodeId: {portIdOrPath: value}}`, laid over the stored values. Nodes that run
    side by side end in the order in which they started, unless `order` chooses. `event` is the
    external event `{eventName, payload?}` that drives the run, None for none. What a node
    raises is its failure; ValidationFailed is raised for a document or inputs that can't run.
    """
    plan = prepare(flow_document, catalogue).plan
    overlaid = overlay_inputs(plan, dict(inputs or {}))
    name = None if event is None else str(event["eventName"])
    engine = Engine(Wiring(plan), options or RunOptions(), overlaid, name)
    return _LocalRun(engine, order or _first_started, replace(_FACTS, event=event)).drive()


def _first_started(running: Sequence[str]) -> str:
    return running[0]


@dataclass(frozen=True, slots=True)
class _Step:
    """A started node with what it was given then."""

    start: Start
    inputs: Mapping[str, Value]
    started_ms: float


class _LocalRun:
    """One run of an engine."""

    def __init__(self, engine: Engine, order: Order, facts: RunFacts) -> None:
        self._facts = facts
        self._engine = engine
        self._order = order
        self._now_ms = 0.0
        self._steps: dict[str, _Step] = {}
        #: (when in ms, node) of each node that waits: for its next attempt, or asleep.
        self._timers: list[tuple[float, int]] = []
        self._waits: dict[int, Sleeping | AwaitingSignal] = {}
        self._events = [_created(engine.plan)]
        self._emitted: list[Emission] = []

    def drive(self) -> LocalResult:
        """Run until every node is settled, or until one failed that nothing handles."""
        self._engine.begin()
        while (verdict := self._advance()) is None:
            if self._steps:
                self._end_one()
            else:
                self._now_ms = max(self._now_ms, self._timers[0][0])
            self._fire_what_is_due()
        self._engine.conclude(verdict, round(self._now_ms))
        self._gather()
        return self._result(verdict)

    def _advance(self) -> Verdict | None:
        while (start := self._engine.start_next()) is not None:
            inputs = self._engine.inputs(start.node.index)
            self._steps[start.node.id] = _Step(start, inputs, self._now_ms)
        verdict = self._engine.verdict()
        self._gather()
        return verdict

    def _end_one(self) -> None:
        step = self._steps.pop(self._order(tuple(self._steps)))
        node = step.start.node
        limit_ms = node.timeout_ms or NODE_TIMEOUT_MS
        time = AttemptTime(limit_ms)
        ended = run_step(step.start, step.inputs, self._facts, tell=self._events.append, time=time)
        failure = ended.error
        if time.is_set():
            # It was given up; what it hands in counts no more.
            failure = NodeTimeout(f"not done within {limit_ms} ms")
        self._now_ms = max(self._now_ms, step.started_ms + time.elapsed_ms)
        match failure:
            case None:
                self._engine.complete(node.index, ended.outputs or {}, ended.execution_ms)
                self._emitted += ended.emitted
            case Sleeping():
                self._suspend(node.index, failure, failure.delay_ms)
            case AwaitingSignal(timeout_ms=int(timeout_ms)):
                self._suspend(node.index, failure, timeout_ms)
            case AwaitingSignal():
                never = NodeError(f"waits for the signal '{failure.name}': nobody can send it here")
                self._settle_failed(step.start, never, ended.execution_ms)
            case FanningOut(flow_id=flow_id) | CallingFlow(flow_id=flow_id):
                unknown = NonRetryableError(f"there is no flow '{flow_id}' here")
                self._settle_failed(step.start, unknown, ended.execution_ms)
            case _:
                self._settle_failed(step.start, failure, ended.execution_ms)

    def _suspend(self, node: int, wait: Sleeping | AwaitingSignal, delay_ms: int) -> None:
        self._engine.suspend(node)
        self._waits[node] = wait
        heappush(self._timers, (self._now_ms + delay_ms, node))

    def _settle_failed(self, start: Start, failure: BaseException, execution_ms: int) -> None:
        node = start.node.index
        error = as_node_failure(failure)
        delay_ms = retry_delay_ms(start.node.retry, start.attempt, failure)
        if delay_ms is None:
            self._engine.fail(node, error, execution_ms)
            return
        due_ms = self._now_ms + delay_ms
        retry_at = timestamp(EPOCH + timedelta(milliseconds=due_ms))
        self._engine.defer(node, error, execution_ms, retry_at)
        heappush(self._timers, (due_ms, node))

    def _fire_what_is_due(self) -> None:
        while self._timers and self._timers[0][0] <= self._now_ms:
            due_ms, node = heappop(self._timers)
            late_ms = round(self._now_ms - due_ms)
            match self._waits.pop(node, None):
                case None:
                    self._engine.retry(node)
                case Sleeping(delay_ms=delay_ms, port=port):
                    slept_ms = delay_ms + late_ms
                    self._engine.complete(node, {port: slept_ms}, slept_ms)
                case AwaitingSignal(timeout_ms=timeout_ms):
                    outputs: dict[str, Value] = {PAYLOAD: None, TIMED_OUT: True}
                    self._engine.complete(node, outputs, (timeout_ms or 0) + late_ms)

    def _gather(self) -> None:
        self._events += self._engine.take_events()

    def _result(self, verdict: Verdict) -> LocalResult:
        failure = verdict if isinstance(verdict, Failure) else None
        return LocalResult(
            status="completed" if failure is None else "failed",
            nodes={node.id: self._node_result(node.index) for node in self._engine.plan.nodes},
            events=tuple(self._events),
            error=failure,
            emitted=tuple(self._emitted),
        )

    def _node_result(self, node: int) -> NodeResult:
        engine = self._engine
        status = engine.status[node]
        is_completed = status is NodeStatus.COMPLETED
        return NodeResult(
            status=status
            if status in SETTLED or status is NodeStatus.IDLE
            else NodeStatus.CANCELLED,
            outputs=copy_value(engine.own_outputs(node)) if is_completed else {},
            error=engine.failures.get(node),
            attempt=engine.attempts[node],
        )


def _created(plan: Plan) -> Event:
    """The event before all others, as the service tells it of an execution from outside."""
    return Event(
        EventType.EXECUTION_CREATED,
        {
            "flowId": plan.flow_id,
            "flowVersion": 1,
            "flowMetadata": dict(plan.metadata),
            "ownerId": OWNER_ID,
            "rootExecutionId": EXECUTION_ID,
            "parentExecutionId": None,
            "executionDepth": 0,
        },
    )
