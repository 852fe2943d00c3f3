"""One run of a claimed execution, from its last checkpoint to its end, a park, or a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from heapq import heappop, heappush
from queue import Empty, SimpleQueue
from typing import Any

import orjson

from app.engine import Engine, Failure, NodeFailure, NodeStatus, Start, Verdict
from app.engine.engine import as_node_failure
from app.engine.retries import retry_delay_ms
from app.errors import NodeError, NodeTimeout, NonRetryableError, ValidationFailed
from app.events.types import Event, EventType
from app.events.wire import timestamp, to_json
from app.executions.opening import facts_of, limit_ms, new_engine, restore
from app.executions.sent import SentSteps, events_of
from app.executions.steps import Arrival, Disowned, Ended, Stale, Step, Told
from app.executions.surroundings import Surroundings
from app.executions.writer import GATHER_LIVE_S, GATHER_PURE_S, Writer, insist
from app.flows.plan import PlanNode
from app.store.records import CheckpointRow, Claimed, Ending, Parked, Progress, Woken
from app.values.ports import Value

#: A retry that is due sooner (s) is waited for in place; a later one holds no worker.
WAIT_IN_PLACE_S = 0.1

#: How much longer (s) than due the end of a node is waited for.
GRACE_S = 0.001
#: The longest (s) that a run waits for anything without looking up.
LONGEST_WAIT_S = 3600.0

_FOREVER = float("inf")


class RunEnd(Enum):
    """How a run left this process."""

    FINISHED = "finished"
    PARKED = "parked"
    RELEASED = "released"
    LOST = "lost"


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
        self._facts = facts_of(claimed)
        self._sent = SentSteps()
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
        self._take_results()
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
        claimed, store = self._claimed, self._around.store
        wiring = self._insist(
            lambda: self._around.plans.get(claimed.flow_id, claimed.flow_version, store.document)
        )
        engine = new_engine(claimed, wiring, self._options)
        if not claimed.begun:
            engine.begin()
            self._writer.gather(engine.take_events(), GATHER_LIVE_S)
            return engine
        execution_id = claimed.fence.execution_id
        granted: dict[str, int] = orjson.loads(claimed.grants or "{}")
        if granted:
            self._sent.read(self._insist(lambda: store.sent_steps(execution_id)), granted)
            # What was lost is interrupted like any node that was granted and never ended.
            self._sent.take_lost()
        stored = self._insist(lambda: store.checkpoints(execution_id))
        restore(engine, stored, granted, self._sent.nodes)
        self._seq = stored[-1].seq + 1 if stored else 0
        for row in stored:
            if row.retry_at is not None and row.retry_in_ms is not None:
                node = wiring.plan.index_of[row.node_id]
                self._set_retry(node, row.attempt, row.retry_in_ms, row.retry_at)
        return engine

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
        if self._around.send is not None:
            return self._send(starts) or self._settle_down()
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
        if starts and self._around.send is not None:
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
        if held and (done := self._sent.take_done()):
            self._insist(lambda: self._around.store.drop_steps(self.fence, done))
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
        allowed_ms = limit_ms(start.node.timeout_ms, self._options)
        heappush(self._timers, (self._clock() + allowed_ms / 1000, node, start.attempt))
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
        if self._retry_at and min(self._retry_at.values())[0] - self._clock() <= WAIT_IN_PLACE_S:
            return None
        return self._park()

    def _release(self) -> RunEnd:
        if not self._writer.is_empty and not self._commit():
            return RunEnd.LOST
        self._insist(lambda: self._around.store.release(self.fence))
        return RunEnd.RELEASED

    def _park(self) -> RunEnd | None:
        if not self._writer.is_empty and not self._commit():
            return RunEnd.LOST
        until = min((until for _, until in self._retry_at.values()), default=None)
        waiting = to_json(self._waiting(until)).decode()
        outcome = self._insist(
            lambda: self._around.store.park(
                self.fence, self._writer.writes, self._wake, waiting, until
            )
        )
        match outcome:
            case Parked():
                return RunEnd.PARKED
            case Woken(wake):
                self._wake = wake
                self._read_results()
                # What arrived is decided on at once, and if it was nothing the run parks anew.
                self._writer.hurry(0)
                return None
            case _:
                return RunEnd.LOST

    def _waiting(self, until: datetime | None) -> dict[str, Value]:
        """Why nothing moves: a sent step that no worker has finished, or else a retry."""
        since = timestamp(self._insist(self._around.store.now))
        if self._sent.nodes:
            detail = {"nodeId": next(iter(self._sent.nodes)), "queue": "default"}
            return {"for": "worker", "since": since, "until": None, "detail": detail}
        node = min(self._retry_at, key=lambda each: self._retry_at[each][0])
        detail = {"nodeId": self._engine.plan.nodes[node].id}
        until_text = timestamp(until) if until else None
        return {"for": "retry", "since": since, "until": until_text, "detail": detail}

    # -- sent steps

    def _send(self, starts: list[Start]) -> RunEnd | None:
        """Note the granted steps as sent, then send them to whichever worker takes them."""
        send = self._around.send
        attempts = {start.node.id: start.attempt for start in starts}
        if send is None or not attempts:
            return None
        if not self._insist(lambda: self._around.store.post_steps(self.fence, attempts)):
            return RunEnd.LOST
        self._sent.nodes |= attempts
        send(self.fence.execution_id, list(attempts))
        return None

    def _read_results(self) -> None:
        execution_id = self.fence.execution_id
        granted = dict(self._sent.nodes)
        steps = self._insist(lambda: self._around.store.sent_steps(execution_id))
        self._sent.read(steps, granted)
        for node_id in self._sent.take_lost():
            self._engine.interrupt(self._engine.plan.index_of[node_id])
        self._take_results()

    def _take_results(self) -> None:
        """Turn the results that were handed in into checkpoints, and forget their steps."""
        for node_id, result in self._sent.take_results():
            self._on_result(self._engine.plan.index_of[node_id], result)

    def _on_result(self, node: int, result: Mapping[str, Any]) -> None:
        plan_node = self._engine.plan.nodes[node]
        self._writer.gather(events_of(result), GATHER_LIVE_S)
        took_ms = result["executionMs"]
        error = result.get("error")
        if error is None:
            oversize = self._oversize(result["outputs"])
            error = as_node_failure(oversize).as_json() if oversize else None
        if error is None:
            self._engine.complete(node, result["outputs"], took_ms)
            self._checkpoint(plan_node, NodeStatus.COMPLETED, took_ms)
        else:
            failure = NodeFailure(error["type"], error["message"])
            self._on_failure(plan_node, failure, result.get("retryDelayMs"), took_ms)

    # -- arrivals

    def _receive(self) -> None:
        """Take what arrives, or what is due, until something is to be decided."""
        wait_s = max(0.0, min(self._next_due() - self._clock(), LONGEST_WAIT_S))
        arrival = self._arrival(wait_s)
        if arrival is None and self._steps:
            # On a busy machine the node's thread may have waited for a processor as long as
            # this one: what it ends with now saves a statement.
            arrival = self._arrival(GRACE_S)
        if arrival is not None:
            self._take(arrival)
            # What came meanwhile, and no more: a node that never stops talking must not keep
            # the run from its timers.
            for _ in range(self.inbox.qsize()):
                self._take(self.inbox.get())
        self._fire_timers()

    def _arrival(self, wait_s: float) -> Arrival | None:
        try:
            return self.inbox.get(wait_s > 0, wait_s)
        except Empty:
            return None

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
        self._checkpoint(step.start.node, NodeStatus.COMPLETED, ended.execution_ms)

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
        node = step.start.node
        delay_ms = retry_delay_ms(node, step.attempt, error)
        self._on_failure(node, as_node_failure(error), delay_ms, execution_ms)

    def _on_failure(
        self, plan_node: PlanNode, failure: NodeFailure, delay_ms: int | None, execution_ms: int
    ) -> None:
        node = plan_node.index
        if delay_ms is None:
            self._engine.fail(node, failure, execution_ms)
            self._checkpoint(plan_node, NodeStatus.ERROR, execution_ms, failure)
            return
        retry_at = self._insist(self._around.store.now) + timedelta(milliseconds=delay_ms)
        self._set_retry(node, self._engine.attempts[node], delay_ms, retry_at)
        self._engine.defer(node, failure, execution_ms, timestamp(retry_at))
        self._checkpoint(plan_node, NodeStatus.WAITING, execution_ms, failure, retry_at)
        # Another attempt may have effects of its own: count this one first.
        self._is_urgent = True

    def _on_stale(self, node: int) -> None:
        """A step was held up before it began: ask whether the run is still ours."""
        asked_at = 0.0

        def ask() -> bool:
            nonlocal asked_at
            asked_at = self._clock()
            return self._around.store.holds(self.fence)

        if self._insist(ask):
            step = self._steps[node]
            step.fresh_until = asked_at + self._around.lease_s / 2
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
        allowed_ms = limit_ms(step.start.node.timeout_ms, self._options)
        self._on_failed(step, NodeTimeout(f"not done within {allowed_ms} ms"), allowed_ms)

    def _set_retry(self, node: int, attempt: int, delay_ms: int, retry_at: datetime) -> None:
        due = self._clock() + delay_ms / 1000
        self._retry_at[node] = (due, retry_at)
        heappush(self._timers, (due, node, attempt))

    # -- helpers of the above

    def _checkpoint(
        self,
        plan_node: PlanNode,
        status: NodeStatus,
        execution_ms: int,
        error: NodeFailure | None = None,
        retry_at: datetime | None = None,
    ) -> None:
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
                attempt=self._engine.attempts[node],
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
        return insist(ask, self._around.pause)

    def _elapsed_ms(self) -> int:
        return self._claimed.running_ms + round((self._clock() - self._opened_at) * 1000)


def _as_ending(verdict: Verdict) -> Ending:
    if isinstance(verdict, Failure):
        return Ending("failed", verdict.error.message, verdict.node_id)
    return Ending("completed")
