"""What comes of a node's attempt: outputs, a failure, another try later, or a timer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.engine import NodeFailure, Start
from app.engine.retries import retry_delay_ms
from app.engine.state import NO_OUTPUTS, Outputs, as_node_failure
from app.executions.ledger import Ledger
from app.executions.sent import events_of
from app.executions.surroundings import Surroundings
from app.executions.timers import Sleep, Timers, Wait
from app.executions.writer import insist
from app.nodes.timer import Sleeping
from app.values.ports import Value


class Settlement:
    """Enters what came of attempts into the books of a run, and sets the timers they ask for."""

    def __init__(self, ledger: Ledger, timers: Timers, around: Surroundings) -> None:
        self._ledger = ledger
        self._timers = timers
        self._around = around

    def completed(self, node: int, outputs: Mapping[str, Value], took_ms: int) -> None:
        """A node gave these outputs."""
        oversize = self._ledger.oversize(outputs)
        if oversize is None:
            self._ledger.complete(node, outputs, took_ms)
        else:
            self._ledger.fail(node, as_node_failure(oversize), took_ms)

    def raised(
        self,
        start: Start,
        error: BaseException,
        took_ms: int,
        streamed: Outputs = NO_OUTPUTS,
    ) -> None:
        """A node ended with an exception: it failed, is tried again, or sleeps.

        `streamed` is what it had sent by then, by port.
        """
        node = start.node
        if isinstance(error, Sleeping):
            self._asleep(node.index, Sleep(error.delay_ms, error.port), took_ms)
            return
        delay_ms = retry_delay_ms(node, start.attempt, error)
        self._failed(node.index, as_node_failure(error), delay_ms, took_ms, streamed)

    def take(self, node: int, result: Mapping[str, Any]) -> None:
        """The result of a sent step was handed in."""
        self._ledger.note(events_of(result))
        took_ms, error = result["executionMs"], result.get("error")
        if "sleep" in result:
            self._asleep(node, Sleep(*result["sleep"]), took_ms)
        elif error is None:
            self.completed(node, result["outputs"], took_ms)
        else:
            failure = NodeFailure(error["type"], error["message"])
            self._failed(node, failure, result.get("retryDelayMs"), took_ms)

    def due(self, wait: Wait) -> None:
        """The time has come that a node waited for."""
        if wait.sleep is None:
            self._ledger.engine.retry(wait.node)
            return
        late_ms = max(0, round((self._around.clock() - wait.due) * 1000))
        self._ledger.awake(wait.node, wait.sleep, wait.sleep.ms + late_ms)

    def _asleep(self, node: int, sleep: Sleep, took_ms: int) -> None:
        self._ledger.sleep(node, sleep, took_ms, self._set_timer(node, sleep.ms, sleep))

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
        self._ledger.defer(node, failure, took_ms, self._set_timer(node, delay_ms))

    def _set_timer(self, node: int, delay_ms: int, sleep: Sleep | None = None) -> datetime:
        """Have a node go on after so many milliseconds; gives the store's time of that."""
        store, clock = self._around.store, self._around.clock
        now: datetime = insist(store.now, self._around.pause)
        at = now + timedelta(milliseconds=delay_ms)
        wait = Wait(clock() + delay_ms / 1000, at, node, sleep)
        self._timers.wait(wait, self._ledger.engine.attempts[node])
        return at
