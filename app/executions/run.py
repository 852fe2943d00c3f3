"""One run of a claimed execution, from its last checkpoint to its end, a park, or a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from queue import Empty
from typing import Any

import orjson

from app.engine import NodeFailure, Start
from app.engine.retries import retry_delay_ms
from app.engine.state import as_node_failure
from app.errors import NodeTimeout, ValidationFailed
from app.events.wire import to_json
from app.executions import waiting
from app.executions.ledger import Ledger
from app.executions.opening import facts_of, limit_ms, refusal
from app.executions.resuming import Resumption
from app.executions.sent import SentSteps, events_of
from app.executions.steps import Arrival, Disowned, Ended, Stale, Step, Told
from app.executions.surroundings import Surroundings
from app.executions.timers import Sleep, Timers, Wait
from app.executions.writer import GATHER_LIVE_S, Writer, insist
from app.nodes.timer import Sleeping
from app.store.records import Claimed, Ending, Parked, Progress, Woken
from app.values.ports import Value

#: A timer that is due sooner (s) is waited for in place; a later one holds no worker.
WAIT_IN_PLACE_S = 0.1

#: How much longer (s) than due the end of a node is waited for.
GRACE_S = 0.001
#: The longest (s) that a run waits for anything without looking up.
LONGEST_WAIT_S = 3600.0


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
        self.inbox = around.mailbox()
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
        self._timers = Timers()
        self._wake = claimed.wake
        self._steps: dict[int, Step] = {}

    def drive(self) -> RunEnd:
        """Run until the execution ends, waits, or is lost to this process."""
        try:
            self._ledger = self._resume()
        except ValidationFailed as error:
            return self._refuse(error)
        self._take_results()
        while True:
            end = self._advance()
            if end is not None:
                self._cancel_all()
                return end
            self._receive()

    def _resume(self) -> Ledger:
        resumption = Resumption(self._claimed, self._around, self._writer, self._timers, self._sent)
        return resumption.open(self._options)

    def disown(self) -> None:
        """Say, from any thread, that the lease was not renewed."""
        self.inbox.put(Disowned())

    def confirm(self, sent_at: float) -> None:
        """Say, from any thread, that a renewal sent at `sent_at` found the fence to hold."""
        self._writer.confirmed_at = max(self._writer.confirmed_at, sent_at)

    def _refuse(self, error: ValidationFailed) -> RunEnd:
        """Fail an execution whose flow can't run here any more."""
        message, events = refusal(error, self._elapsed_ms())
        self._writer.gather(events, 0)
        held = self._writer.commit("{}", Progress(), Ending("failed", message))
        return RunEnd.FINISHED if held else RunEnd.LOST

    # -- one boundary

    def _advance(self) -> RunEnd | None:
        ledger = self._ledger
        starts = self._take_starts()
        verdict = ledger.engine.verdict() if not starts else None
        if verdict is not None:
            held = self._settle_sent(ledger.conclude(verdict, self._elapsed_ms()))
            return RunEnd.FINISHED if held else RunEnd.LOST
        ledger.gather()
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
        while (start := self._ledger.engine.start_next()) is not None:
            starts.append(start)
        return starts

    def _must_commit(self, starts: list[Start]) -> bool:
        is_granting = self._around.send is not None and starts
        if is_granting or any(start.node.spec.effects for start in starts):
            return True
        return self._ledger.is_due(self._clock())

    def _commit(self) -> bool:
        return self._settle_sent(self._ledger.commit())

    def _settle_sent(self, held: bool) -> bool:
        """Forget the sent steps whose results were just committed, if they were."""
        if held and (done := self._sent.take_done()):
            self._insist(lambda: self._around.store.drop_steps(self.fence, done))
        return held

    def _launch(self, start: Start) -> None:
        node = start.node.index
        step = Step(
            facts=self._facts,
            start=start,
            inputs=self._ledger.engine.inputs(node),
            inbox=self.inbox,
            clock=self._clock,
            fresh_until=self._writer.confirmed_at + self._around.lease_s / 2,
            cancelled=self._around.flag(),
        )
        self._steps[node] = step
        allowed_ms = limit_ms(start.node.timeout_ms, self._options)
        self._timers.limit(node, start.attempt, self._clock() + allowed_ms / 1000)
        if not start.node.spec.effects:
            # Its `node:started` waits in the writer: out with it if the node takes long.
            self._writer.hurry(GATHER_LIVE_S)
        self._around.launch(step)

    # -- nothing runs

    def _settle_down(self) -> RunEnd | None:
        """Wait where a wait is short, else give the execution up."""
        if self._around.is_draining():
            return self._release()
        wait = self._timers.soonest_wait()
        if wait is not None and wait.due - self._clock() <= WAIT_IN_PLACE_S:
            return None
        return self._park(wait)

    def _release(self) -> RunEnd:
        if not self._writer.is_empty and not self._commit():
            return RunEnd.LOST
        self._insist(lambda: self._around.store.release(self.fence))
        return RunEnd.RELEASED

    def _park(self, wait: Wait | None) -> RunEnd | None:
        if not self._writer.is_empty and not self._commit():
            return RunEnd.LOST
        until = wait.at if wait else None
        reason = to_json(self._waiting(wait)).decode()
        outcome = self._insist(
            lambda: self._around.store.park(
                self.fence, self._writer.writes, self._wake, reason, until
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

    def _waiting(self, wait: Wait | None) -> dict[str, Value]:
        """Why nothing moves: what ends soonest, or sent steps that no worker ended."""
        since = self._insist(self._around.store.now)
        if wait is None:
            return waiting.for_worker(next(iter(self._sent.nodes)), since)
        return waiting.for_timer(wait, self._ledger.engine.plan.nodes[wait.node].id, since)

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
        engine = self._ledger.engine
        execution_id = self.fence.execution_id
        granted = dict(self._sent.nodes)
        steps = self._insist(lambda: self._around.store.sent_steps(execution_id))
        self._sent.read(steps, granted)
        for node_id, told in self._sent.take_lost():
            engine.interrupt(engine.plan.index_of[node_id])
            self._ledger.note([told])
        self._take_results()

    def _take_results(self) -> None:
        """Turn the results that were handed in into checkpoints, and forget their steps."""
        for node_id, result in self._sent.take_results():
            self._on_result(self._ledger.engine.plan.index_of[node_id], result)

    def _on_result(self, node: int, result: Mapping[str, Any]) -> None:
        self._ledger.note(events_of(result))
        took_ms, error = result["executionMs"], result.get("error")
        if "sleep" in result:
            self._on_asleep(node, Sleep(*result["sleep"]), took_ms)
        elif error is None:
            self._on_completed(node, result["outputs"], took_ms)
        else:
            failure = NodeFailure(error["type"], error["message"])
            self._on_failed(node, failure, result.get("retryDelayMs"), took_ms)

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
            # What came by now, no more: a talkative node must not keep the run from its timers.
            for _ in range(self.inbox.qsize()):
                self._take(self.inbox.get())
        self._fire_timers()

    def _arrival(self, wait_s: float) -> Arrival | None:
        try:
            return self.inbox.get(wait_s > 0, wait_s)
        except Empty:
            return None

    def _next_due(self) -> float:
        timer = self._timers.next_due()
        return timer if self._writer.due_at is None else min(timer, self._writer.due_at)

    def _take(self, arrival: Arrival) -> None:
        match arrival:
            case Ended(node, attempt) if self._is_current(node, attempt):
                self._on_ended(arrival)
            case Told(node, attempt, event) if self._is_current(node, attempt):
                self._steps[node].heard += 1
                self._ledger.note([event])
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
        if ended.error is not None:
            self._on_raised(step, ended.error, ended.execution_ms)
        else:
            self._on_completed(ended.node, ended.outputs or {}, ended.execution_ms)

    def _on_completed(self, node: int, outputs: Mapping[str, Value], took_ms: int) -> None:
        oversize = self._ledger.oversize(outputs)
        if oversize is None:
            self._ledger.complete(node, outputs, took_ms)
        else:
            self._ledger.fail(node, as_node_failure(oversize), took_ms)

    def _on_raised(self, step: Step, error: BaseException, took_ms: int) -> None:
        node = step.start.node
        if isinstance(error, Sleeping):
            self._on_asleep(node.index, Sleep(error.delay_ms, error.port), took_ms)
            return
        delay_ms = retry_delay_ms(node, step.attempt, error)
        self._on_failed(node.index, as_node_failure(error), delay_ms, took_ms)

    def _on_asleep(self, node: int, sleep: Sleep, took_ms: int) -> None:
        self._ledger.sleep(node, sleep, took_ms, self._set_timer(node, sleep.ms, sleep))

    def _on_failed(
        self, node: int, failure: NodeFailure, delay_ms: int | None, took_ms: int
    ) -> None:
        if delay_ms is None:
            self._ledger.fail(node, failure, took_ms)
            return
        self._ledger.defer(node, failure, took_ms, self._set_timer(node, delay_ms))

    def _set_timer(self, node: int, delay_ms: int, sleep: Sleep | None = None) -> datetime:
        """Have a node go on after so many milliseconds; gives the store's time of that."""
        at: datetime = self._insist(self._around.store.now) + timedelta(milliseconds=delay_ms)
        wait = Wait(self._clock() + delay_ms / 1000, at, node, sleep)
        self._timers.wait(wait, self._ledger.engine.attempts[node])
        return at

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
            self._ledger.is_urgent = True

    def _fire_timers(self) -> None:
        engine = self._ledger.engine
        for node, attempt in self._timers.fire(self._clock()):
            if self._is_current(node, attempt):
                self._time_out(node)
            elif engine.attempts[node] == attempt and (wait := self._timers.take_wait(node)):
                self._on_due(wait)

    def _on_due(self, wait: Wait) -> None:
        if wait.sleep is None:
            self._ledger.engine.retry(wait.node)
            return
        late_ms = max(0, round((self._clock() - wait.due) * 1000))
        self._ledger.awake(wait.node, wait.sleep, wait.sleep.ms + late_ms)

    def _time_out(self, node: int) -> None:
        """Give an attempt up, whatever its thread does; what it hands in later is dropped."""
        step = self._steps.pop(node)
        step.cancel(timed_out=True)
        allowed_ms = limit_ms(step.start.node.timeout_ms, self._options)
        self._on_raised(step, NodeTimeout(f"not done within {allowed_ms} ms"), allowed_ms)

    def _cancel_all(self) -> None:
        for step in self._steps.values():
            step.cancel(timed_out=False)

    def _insist(self, ask: Callable[[], Any]) -> Any:
        return insist(ask, self._around.pause)

    def _elapsed_ms(self) -> int:
        return self._claimed.running_ms + round((self._clock() - self._opened_at) * 1000)
