"""The nodes that run in a process's threads, and what is known of those that don't yield."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from math import inf

from app.engine.retries import retry_delay_ms
from app.engine.state import as_node_failure
from app.errors import NodeTimeout
from app.events.wire import to_json
from app.executions.steps import Step
from app.nodes.spec import RetryPolicy
from app.store.records import Overdue

#: A node that was told to end so long ago (s), and runs on, is stuck.
STUCK_AFTER_S = 5.0


class NodeWatch:
    """Runs steps, and keeps noted which one's time is up first.

    `note` hears of that: of when it is up (on the clock; infinity for none) and of the step.
    From any thread.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        note: Callable[[float, Step | None], object] = lambda _due, _step: None,
    ) -> None:
        self._clock = clock
        self._note = note
        self._lock = threading.Lock()
        self._running: set[Step] = set()
        self._noted: Step | None = None
        self._noted_due = inf

    def run(self, step: Step) -> None:
        """Run a step in this thread."""
        with self._lock:
            self._running.add(step)
            if step.due < self._noted_due:
                self._tell(step)
        try:
            step.run()
        finally:
            with self._lock:
                self._running.discard(step)
                if step is self._noted:
                    self._tell_first()

    def look(self) -> None:
        """Note anew: what its run has given up is nobody else's to give up."""
        with self._lock:
            if self._noted is not None and self._noted.cancelled.is_set():
                self._tell_first()

    def stuck(self) -> list[Step]:
        """The steps that were told to end long ago and run on."""
        before = self._clock() - STUCK_AFTER_S
        with self._lock:
            return [step for step in self._running if step.told_to_end_at < before]

    def _tell_first(self) -> None:
        under_way = (step for step in self._running if not step.cancelled.is_set())
        self._tell(min(under_way, key=lambda step: step.due, default=None))

    def _tell(self, step: Step | None) -> None:
        self._noted, self._noted_due = step, inf if step is None else step.due
        self._note(self._noted_due, step)


def overdue(step: Step, worker_id: str) -> Overdue:
    """What is to come of a step whose time is up, if the process of that name can't say so."""
    at = (step.execution_id, step.node_id, step.attempt, step.claim_epoch, worker_id)
    return Overdue(*at, _timed_out(step.start.node.retry, step.attempt, step.limit_ms))


@lru_cache(maxsize=1024)
def _timed_out(retry: RetryPolicy, attempt: int, limit_ms: int) -> str:
    """The result of an attempt whose time is up. Kept: it is noted before every node begins."""
    error = NodeTimeout(f"not done within {limit_ms} ms")
    result = {
        "error": as_node_failure(error).as_json(),
        "retryDelayMs": retry_delay_ms(retry, attempt, error),
        "executionMs": limit_ms,
    }
    return to_json(result).decode()
