"""Hints of local mode: handed to threads of this process, where elsewhere a message is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from queue import SimpleQueue

from app.executions.executor import Executor
from app.executions.lanes import Lanes
from app.nodes.queues import DEFAULT_QUEUE

#: How long (s) the end of the process waits for its threads, each.
ENDS_WITHIN_S = 1.0


class LocalDispatcher:
    """Hands hints to threads of this process: no more than there are slots to wake."""

    def __init__(
        self,
        executor: Executor,
        next_runnable: Callable[[], str | None],
        lanes: Lanes,
        slots: int,
    ) -> None:
        self._executor = executor
        self._next_runnable = next_runnable
        self._lanes = lanes
        self._slots = slots
        self._hints: SimpleQueue[str | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def room(self, wanted: int, queue: str = DEFAULT_QUEUE) -> int:  # noqa: ARG002 — there is one
        """How many of so many hints may be given."""
        return max(0, min(wanted, self._slots - self._hints.qsize()))

    def unoffered(self, execution_ids: Sequence[str]) -> Sequence[str]:
        """Nobody lingers: all of them, as far as there is room."""
        return execution_ids[: self.room(len(execution_ids))]

    def send(self, execution_ids: Sequence[str]) -> None:
        """Have threads run these, or whatever is first in the backlog."""
        for execution_id in execution_ids:
            self._hints.put(execution_id)
        self._grow()

    def hint(self, execution_ids: Sequence[str]) -> None:
        """The same, as far as there is room."""
        self.send(self.unoffered(execution_ids))

    def send_steps(self, execution_id: str, queues: Mapping[str, str]) -> None:
        """Run steps that were sent."""
        self._lanes.run(lambda: self._run_steps(execution_id, queues))

    def _run_steps(self, execution_id: str, node_ids: Iterable[str]) -> None:
        for node_id in node_ids:
            self._executor.work_step(execution_id, node_id)

    def close(self) -> None:
        """End the threads, and wait a moment for each."""
        with self._lock:
            threads, self._threads = self._threads, []
        for _ in threads:
            self._hints.put(None)
        for thread in threads:
            thread.join(ENDS_WITHIN_S)

    def _grow(self) -> None:
        """Have a thread for each hint, up to the slots there are."""
        with self._lock:
            wanted = min(self._slots, len(self._executor.running()) + self._hints.qsize())
            while len(self._threads) < wanted:
                thread = threading.Thread(target=self._work, daemon=True, name="executor")
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        while self._hints.get() is not None:
            if self._executor.work() and (left := self._next_runnable()):
                self.hint([left])
