"""What comes of a node's attempt: outputs, a failure, another try later, or a wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import inf
from typing import Any

from app.engine import NodeFailure, Start
from app.engine.retries import retry_delay_ms
from app.engine.state import NO_OUTPUTS, Outputs, as_node_failure
from app.executions.ledger import Ledger
from app.executions.offspring import Offspring
from app.executions.sent import events_of
from app.executions.signals import SignalWaits
from app.executions.surroundings import Surroundings
from app.executions.timers import SignalWait, Sleep, Timers, Wait
from app.nodes.calling import CallingFlow
from app.nodes.emission import Emission
from app.nodes.fan_out import FanningOut
from app.nodes.signal import AwaitingSignal
from app.nodes.timer import Sleeping
from app.values.ports import Value


class Settlement:
    """Enters what came of attempts into the books of a run, and the waits they ask for."""

    def __init__(
        self,
        ledger: Ledger,
        timers: Timers,
        signals: SignalWaits,
        offspring: Offspring,
        around: Surroundings,
    ) -> None:
        self._ledger = ledger
        self._fan_outs = offspring.fan_outs
        self._calls = offspring.calls
        self._children = offspring.children
        self._timers = timers
        self._signals = signals
        self._around = around

    def completed(
        self,
        node: int,
        outputs: Mapping[str, Value],
        took_ms: int,
        emitted: Sequence[Emission] = (),
    ) -> None:
        """A node gave these outputs, and emitted this."""
        refusal = self._ledger.oversize(outputs) or self._children.refusal(emitted)
        if refusal is None:
            self._ledger.complete(node, outputs, took_ms)
            self._children.emit(node, emitted)
        else:
            self._ledger.fail(node, as_node_failure(refusal), took_ms)

    def raised(
        self,
        start: Start,
        error: BaseException,
        took_ms: int,
        streamed: Outputs = NO_OUTPUTS,
    ) -> None:
        """A node ended with an exception: it failed, is tried again, sleeps, or waits.

        `streamed` is what it had sent by then, by port.
        """
        node = start.node
        match error:
            case Sleeping():
                self._asleep(node.index, Sleep(error.delay_ms, error.port), took_ms)
            case AwaitingSignal():
                self._await_signal(node.index, error.name, error.timeout_ms, took_ms)
            case FanningOut():
                self._fan_outs.begin(node.index, error, took_ms)
            case CallingFlow():
                self._call(start, error, took_ms)
            case _:
                delay_ms = retry_delay_ms(node.retry, start.attempt, error)
                self._failed(node.index, as_node_failure(error), delay_ms, took_ms, streamed)

    def take(self, node: int, result: Mapping[str, Any]) -> None:
        """The result of a sent step was handed in."""
        self._ledger.note(events_of(result))
        took_ms, error = result["executionMs"], result.get("error")
        if "sleep" in result:
            self._asleep(node, Sleep(*result["sleep"]), took_ms)
        elif "signal" in result:
            name, timeout_ms = result["signal"]
            self._await_signal(node, name, timeout_ms, took_ms)
        elif "fanOut" in result:
            self._fan_outs.begin(node, FanningOut(*result["fanOut"]), took_ms)
        elif "call" in result:
            engine, (flow_id, inputs, waits) = self._ledger.engine, result["call"]
            start = Start(engine.plan.nodes[node], engine.attempts[node])
            self._call(start, CallingFlow(flow_id, inputs, waits=waits), took_ms)
        elif error is None:
            emitted = [Emission(*each) for each in result.get("emitted", ())]
            self.completed(node, result["outputs"], took_ms, emitted)
        else:
            failure = NodeFailure(error["type"], error["message"])
            self._failed(node, failure, result.get("retryDelayMs"), took_ms)

    def due(self, wait: Wait) -> None:
        """The time has come at which a node sleeps no longer, or is tried again."""
        late_s = max(0.0, self._around.clock() - wait.due)
        self._around.meter.timer_fired(late_s)
        if not isinstance(wait.plan, Sleep):
            self._ledger.engine.retry(wait.node)
            return
        slept_ms = wait.plan.ms + round(late_s * 1000)
        self._ledger.end_wait(wait.node, {wait.plan.port: slept_ms}, slept_ms)

    def _call(self, start: Start, wanted: CallingFlow, took_ms: int) -> None:
        refusal = self._calls.begin(start, wanted, took_ms)
        if refusal is not None:
            self.raised(start, refusal, took_ms)

    def _asleep(self, node: int, sleep: Sleep, took_ms: int) -> None:
        wait, at = self._wait(node, sleep.ms, sleep)
        self._timers.wait(wait, self._ledger.engine.attempts[node])
        self._ledger.suspend(node, sleep.as_json(), took_ms, at)

    def _await_signal(self, node: int, name: str, timeout_ms: int | None, took_ms: int) -> None:
        plan = SignalWait(name, place=node)
        wait = Wait(inf, None, node, plan)
        if timeout_ms is not None:
            wait, _ = self._wait(node, timeout_ms, plan)
        self._signals.enter(wait, self._ledger.engine.attempts[node])
        self._ledger.suspend(node, plan.as_json(), took_ms, wait.at)

    def _failed(
        self,
        node: int,
        failure: NodeFailure,
        delay_ms: int | None,
        took_ms: int,
        streamed: Outputs = NO_OUTPUTS,
    ) -> None:
        if delay_ms is None:
            self._ledger.fail(node, failure, took_ms, streamed)
            return
        wait, at = self._wait(node, delay_ms)
        self._timers.wait(wait, self._ledger.engine.attempts[node])
        self._ledger.defer(node, failure, took_ms, at)

    def _wait(
        self, node: int, delay_ms: int, plan: Sleep | SignalWait | None = None
    ) -> tuple[Wait, datetime]:
        """A wait of so many milliseconds from now on, and the store's time of its end."""
        at = self._around.now() + timedelta(milliseconds=delay_ms)
        return Wait(self._around.clock() + delay_ms / 1000, at, node, plan), at
