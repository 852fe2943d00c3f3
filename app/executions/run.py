"""One run of a claimed execution, from its last checkpoint to its end, a park, or a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from heapq import heappop, heappush
from queue import Empty, SimpleQueue
from typing import Any

import orjson

from app.engine import (
    Checkpoint,
    Engine,
    Failure,
    NodeFailure,
    NodeStatus,
    RunOptions,
    Start,
    Verdict,
    Wiring,
)
from app.engine.engine import as_node_failure
from app.errors import NodeError, NodeTimeout, NonRetryableError, ValidationFailed
from app.events.types import Event, EventType
from app.events.wire import timestamp, to_json
from app.executions.plans import PlanCache
from app.executions.steps import Arrival, Disowned, Ended, RunFacts, Stale, Step, Told
from app.executions.writer import GATHER_LIVE_S, GATHER_PURE_S, Pause, Publish, Writer
from app.flows import overlay_inputs
from app.nodes.retry import RetryAfter
from app.store.protocol import RunStore
from app.store.records import (
    CheckpointRow,
    Claimed,
    Ending,
    Parked,
    Progress,
    StoredCheckpoint,
    Woken,
)
from app.values.ports import Value

#: A retry that is due sooner (s) is waited for in place; a later one holds no worker.
WAIT_IN_PLACE_S = 0.1

#: The longest (s) that a run waits for anything without looking up.
LONGEST_WAIT_S = 3600.0

_FOREVER = float("inf")


class RunEnd(Enum):
    """How a run left this process."""

    FINISHED = "finished"
    PARKED = "parked"
    RELEASED = "released"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What runs share in a process.

    `clock` is monotonic, in seconds; `launch` runs a step in a thread of its own;
    `is_draining` says that the process is to end: no node starts any more.
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


class Run:
    """A claimed execution in this process. Driven by one thread; nodes run in others."""

    def __init__(self, claimed: Claimed, around: Surroundings) -> None:
        self.fence = claimed.fence
        self.inbox: SimpleQueue[Arrival] = SimpleQueue()
        self._claimed = claimed
        self._around = around
        self._clock = around.clock
        self._opened_at = around.clock()
        self._options: dict[str, Any] = orjson.loads(claimed.options)
        self._writer = Writer(
            around.store,
            around.publish,
            claimed.fence,
            claimed.writes,
            clock=around.clock,
            pause=around.pause,
        )
        self._facts = RunFacts(
            execution_id=claimed.fence.execution_id,
            root_execution_id=claimed.root_execution_id,
            owner_id=claimed.owner_id,
            integrations=orjson.loads(claimed.integration) if claimed.integration else {},
            is_child=claimed.parent_execution_id is not None,
        )
        self._wake = claimed.wake
        self._seq = 0
        self._steps: dict[int, Step] = {}
        #: (when, node, attempt): a time limit of a running node, or the retry of a waiting one.
        self._timers: list[tuple[float, int, int]] = []
        self._granted_at: dict[int, datetime] = {}
        self._retry_at: dict[int, tuple[float, datetime]] = {}
        self._is_urgent = False

    def drive(self) -> RunEnd:
        """Run until the execution ends, waits, or is lost to this process."""
        try:
            self._engine = self._open()
        except ValidationFailed as error:
            return self._refuse(error)
        while True:
            end = self._advance()
            if end is not None:
                self._cancel_all()
                return end
            self._receive()

    def disown(self) -> None:
        """Say, from any thread, that the lease was not renewed."""
        self.inbox.put(Disowned())

    def confirm(self, sent_at: float) -> None:
        """Say, from any thread, that a renewal sent at `sent_at` found the fence to hold."""
        self._writer.confirmed_at = max(self._writer.confirmed_at, sent_at)

    # -- opening

    def _open(self) -> Engine:
        claimed = self._claimed
        plan = self._insist(
            lambda: self._around.plans.get(
                claimed.flow_id, claimed.flow_version, self._around.store.document
            )
        )
        engine = self._new_engine(plan)
        if not claimed.begun:
            engine.begin()
            self._writer.gather(engine.take_events(), GATHER_LIVE_S)
            return engine
        stored = self._insist(lambda: self._around.store.checkpoints(claimed.fence.execution_id))
        engine.restore(map(_as_checkpoint, stored), orjson.loads(claimed.grants or "{}"))
        self._seq = stored[-1].seq + 1 if stored else 0
        for row in stored:
            if row.retry_at is not None and row.retry_in_ms is not None:
                node = plan.plan.index_of[row.node_id]
                self._set_retry(node, row.attempt, row.retry_in_ms, row.retry_at)
        return engine

    def _new_engine(self, wiring: Wiring) -> Engine:
        execution = self._options["execution"]
        options = RunOptions(
            max_concurrency=execution["maxConcurrency"],
            fail_on_error=execution["onNodeError"] == "fail",
            debug=self._options["debug"],
        )
        inputs = orjson.loads(self._claimed.inputs) if self._claimed.inputs else {}
        return Engine(wiring, options, overlay_inputs(wiring.plan, inputs))

    def _refuse(self, error: ValidationFailed) -> RunEnd:
        """Fail an execution whose flow can't run here any more."""
        reasons = "; ".join(f"{fault.pointer}: {fault.message}" for fault in error.faults)
        message = f"the flow can't run: {reasons}"
        data = {"executionTimeMs": self._elapsed_ms()}
        failure = NodeFailure("ValidationError", message).as_json()
        ended = {"errorMessage": message, "errorNodeId": None}
        self._writer.gather(
            [
                Event(EventType.FLOW_FAILED, data | {"error": failure}),
                Event(EventType.EXECUTION_FAILED, data | ended),
            ],
            0,
        )
        held = self._writer.commit("{}", Progress(), Ending("failed", message))
        return RunEnd.FINISHED if held else RunEnd.LOST

    # -- one boundary

    def _advance(self) -> RunEnd | None:
        starts = self._take_starts()
        verdict = self._engine.verdict() if not starts else None
        self._writer.gather(self._engine.take_events(), GATHER_PURE_S)
        if verdict is not None:
            return self._finish(verdict)
        if self._must_commit(starts) and not self._commit():
            return RunEnd.LOST
        for start in starts:
            self._launch(start)
        return None if self._steps else self._settle_down()

    def _take_starts(self) -> list[Start]:
        if self._around.is_draining():
            return []
        starts = []
        while (start := self._engine.start_next()) is not None:
            starts.append(start)
        return starts

    def _must_commit(self, starts: list[Start]) -> bool:
        if self._is_urgent or any(start.node.spec.effects for start in starts):
            return True
        due_at = self._writer.due_at
        return due_at is not None and due_at <= self._clock()

    def _commit(self, ending: Ending | None = None) -> bool:
        engine = self._engine
        nodes = engine.plan.nodes
        grants = {nodes[node].id: engine.attempts[node] for node in engine.running}
        progress = Progress(engine.completed, engine.failed, engine.skipped)
        held = self._writer.commit(to_json(grants).decode(), progress, ending)
        self._is_urgent = False
        if held and self._writer.written_at is not None:
            for node in engine.running:
                self._granted_at.setdefault(node, self._writer.written_at)
        return held

    def _launch(self, start: Start) -> None:
        node = start.node.index
        step = Step(
            facts=self._facts,
            start=start,
            inputs=self._engine.inputs(node),
            inbox=self.inbox,
            clock=self._clock,
            fresh_until=self._writer.confirmed_at + self._around.lease_s / 2,
        )
        self._steps[node] = step
        heappush(self._timers, (self._clock() + self._limit_ms(step) / 1000, node, start.attempt))
        if not start.node.spec.effects:
            # Its `node:started` waits in the writer: out with it if the node takes long.
            self._writer.hurry(GATHER_LIVE_S)
        self._around.launch(step)

    def _finish(self, verdict: Verdict) -> RunEnd:
        self._engine.conclude(verdict, self._elapsed_ms())
        self._writer.gather(self._engine.take_events(), 0)
        held = self._commit(_as_ending(verdict))
        return RunEnd.FINISHED if held else RunEnd.LOST

    # -- nothing runs

    def _settle_down(self) -> RunEnd | None:
        """Wait where a wait is short, else give the execution up."""
        if self._around.is_draining():
            return self._release()
        wait_s = min(self._retry_at.values())[0] - self._clock()
        return None if wait_s <= WAIT_IN_PLACE_S else self._park()

    def _release(self) -> RunEnd:
        if not self._writer.is_empty and not self._commit():
            return RunEnd.LOST
        self._insist(lambda: self._around.store.release(self.fence))
        return RunEnd.RELEASED

    def _park(self) -> RunEnd | None:
        if not self._writer.is_empty and not self._commit():
            return RunEnd.LOST
        (_, until), node = min((timer, node) for node, timer in self._retry_at.items())
        waiting = {
            "for": "retry",
            "since": timestamp(self._insist(self._around.store.now)),
            "until": timestamp(until),
            "detail": {"nodeId": self._engine.plan.nodes[node].id},
        }
        outcome = self._insist(
            lambda: self._around.store.park(
                self.fence, self._writer.writes, self._wake, to_json(waiting).decode(), until
            )
        )
        match outcome:
            case Parked():
                return RunEnd.PARKED
            case Woken(wake):
                self._wake = wake
                return None
            case _:
                return RunEnd.LOST

    # -- arrivals

    def _receive(self) -> None:
        """Take what arrives, or what is due, until something is to be decided."""
        wait_s = max(0.0, min(self._next_due() - self._clock(), LONGEST_WAIT_S))
        try:
            self._take(self.inbox.get(timeout=wait_s))
            while True:
                self._take(self.inbox.get_nowait())
        except Empty:
            self._fire_timers()

    def _next_due(self) -> float:
        timer = self._timers[0][0] if self._timers else _FOREVER
        return timer if self._writer.due_at is None else min(timer, self._writer.due_at)

    def _take(self, arrival: Arrival) -> None:
        match arrival:
            case Ended(node, attempt) if self._is_current(node, attempt):
                self._on_ended(arrival)
            case Told(node, attempt, event) if self._is_current(node, attempt):
                self._writer.gather([event], GATHER_LIVE_S)
            case Stale(node, attempt) if self._is_current(node, attempt):
                self._on_stale(node)
            case Disowned():
                self._on_disowned()
            case _:
                # From an attempt that was given up: its result counts no more.
                pass

    def _is_current(self, node: int, attempt: int) -> bool:
        step = self._steps.get(node)
        return step is not None and step.attempt == attempt

    def _on_ended(self, ended: Ended) -> None:
        step = self._steps.pop(ended.node)
        error = ended.error or self._oversize(ended.outputs or {})
        if error is not None:
            self._on_failed(step, error, ended.execution_ms)
            return
        self._engine.complete(ended.node, ended.outputs or {}, ended.execution_ms)
        self._checkpoint(step, NodeStatus.COMPLETED, ended.execution_ms)

    def _oversize(self, outputs: Mapping[str, Value]) -> NodeError | None:
        limit = self._around.max_value_bytes
        if len(to_json(outputs)) <= limit:
            return None
        sizes = {port: len(to_json(value)) for port, value in outputs.items()}
        large = next((port for port, size in sizes.items() if size > limit), None)
        if large is None:
            return None
        return NonRetryableError(
            f"output '{large}' has {sizes[large]} bytes of JSON; {limit} are allowed"
        )

    def _on_failed(self, step: Step, error: BaseException, execution_ms: int) -> None:
        node = step.start.node.index
        failure = as_node_failure(error)
        delay_ms = _retry_delay_ms(step, error)
        if delay_ms is None:
            self._engine.fail(node, failure, execution_ms)
            self._checkpoint(step, NodeStatus.ERROR, execution_ms, failure)
            return
        retry_at = self._insist(self._around.store.now) + timedelta(milliseconds=delay_ms)
        self._set_retry(node, step.attempt, delay_ms, retry_at)
        self._engine.defer(node, failure, execution_ms, timestamp(retry_at))
        self._checkpoint(step, NodeStatus.WAITING, execution_ms, failure, retry_at)
        # Another attempt may have effects of its own: count this one first.
        self._is_urgent = True

    def _on_stale(self, node: int) -> None:
        """A step was held up before it began: ask whether the run is still ours."""
        if self._insist(lambda: self._around.store.holds(self.fence)):
            step = self._steps[node]
            step.fresh_until = self._clock() + self._around.lease_s / 2
            self._around.launch(step)
        else:
            self._on_disowned()

    def _on_disowned(self) -> None:
        """The lease was not renewed. If that is so, the next guard ends the run: go there."""
        if not self._insist(lambda: self._around.store.holds(self.fence)):
            self._cancel_all()
            self._is_urgent = True

    def _fire_timers(self) -> None:
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            _, node, attempt = heappop(self._timers)
            if self._is_current(node, attempt):
                self._time_out(node)
            elif node in self._retry_at and self._engine.attempts[node] == attempt:
                del self._retry_at[node]
                self._engine.retry(node)

    def _time_out(self, node: int) -> None:
        """Give an attempt up, whatever its thread does; what it hands in later is dropped."""
        step = self._steps.pop(node)
        step.cancel(timed_out=True)
        limit_ms = self._limit_ms(step)
        self._on_failed(step, NodeTimeout(f"not done within {limit_ms} ms"), limit_ms)

    def _limit_ms(self, step: Step) -> int:
        limit: int = step.start.node.timeout_ms or self._options["execution"]["nodeTimeoutMs"]
        return limit

    def _set_retry(self, node: int, attempt: int, delay_ms: int, retry_at: datetime) -> None:
        due = self._clock() + delay_ms / 1000
        self._retry_at[node] = (due, retry_at)
        heappush(self._timers, (due, node, attempt))

    # -- helpers of the above

    def _checkpoint(
        self,
        step: Step,
        status: NodeStatus,
        execution_ms: int,
        error: NodeFailure | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        plan_node = step.start.node
        node = plan_node.index
        outputs = None
        if status is NodeStatus.COMPLETED:
            outputs = to_json(self._engine.own_outputs(node)).decode()
        chosen = [self._engine.plan.edges[edge].id for edge in self._engine.chosen_edges(node)]
        self._writer.add(
            CheckpointRow(
                node_id=plan_node.id,
                seq=self._seq,
                status=str(status),
                attempt=step.attempt,
                execution_ms=execution_ms,
                outputs=outputs,
                chosen=to_json(chosen).decode(),
                error=to_json(error.as_json()).decode() if error else None,
                started_at=self._granted_at.pop(node, None),
                retry_at=retry_at,
            )
        )
        self._seq += 1
        if plan_node.spec.effects:
            self._is_urgent = True

    def _cancel_all(self) -> None:
        for step in self._steps.values():
            step.cancel(timed_out=False)

    def _insist(self, ask: Callable[[], Any]) -> Any:
        return self._writer.insist(ask)

    def _elapsed_ms(self) -> int:
        return self._claimed.running_ms + round((self._clock() - self._opened_at) * 1000)


def _as_checkpoint(row: StoredCheckpoint) -> Checkpoint:
    error: Mapping[str, str] | None = orjson.loads(row.error) if row.error else None
    return Checkpoint(
        node_id=row.node_id,
        status=NodeStatus(row.status),
        attempt=row.attempt,
        outputs=orjson.loads(row.outputs) if row.outputs else None,
        error=NodeFailure(error["type"], error["message"]) if error else None,
    )


def _as_ending(verdict: Verdict) -> Ending:
    if isinstance(verdict, Failure):
        return Ending("failed", verdict.error.message, verdict.node_id)
    return Ending("completed")


def _retry_delay_ms(step: Step, error: BaseException) -> int | None:
    """How long to wait before the next attempt; None if there is none."""
    if isinstance(error, RetryAfter):
        return error.delay_ms
    policy = step.start.node.retry
    if isinstance(error, NonRetryableError) or step.attempt >= policy.max_attempts:
        return None
    return policy.backoff_after(step.attempt)
