"""Workers of one kind on a stack: killed by a test, and replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from tests.system.stack import Managed, Stack
from tests.system.traces import owner_of
from tests.waiting import wait_until


class Crew:
    """Workers alike in pool, slots, queues and settings."""

    def __init__(
        self,
        stack: Stack,
        *,
        pool: str = "prefork",
        concurrency: int = 2,
        queues: str | None = None,
        **env: str,
    ) -> None:
        self._stack = stack
        self._pool = pool
        self._concurrency = concurrency
        self._queues = queues
        self._env: Mapping[str, str] = env
        self.workers: list[Managed] = []

    def muster(self, wanted: int, *, wait: bool = True) -> None:
        """Have so many workers alive, started where they are missing."""
        self.workers = [worker for worker in self.workers if worker.is_running]
        started = [
            self._stack.start_worker(
                pool=self._pool,
                concurrency=self._concurrency,
                queues=self._queues,
                env=self._env,
                wait=False,
            )
            for _ in range(wanted - len(self.workers))
        ]
        self.workers += started
        if wait:
            self.await_all()

    def await_all(self) -> None:
        """Wait until all are of use."""
        for worker in self.workers:
            self._stack.await_worker(worker)

    def worker_of(self, process: str) -> Managed:
        """The worker that a process, by its name, belongs to."""
        name = process.split("/", maxsplit=1)[0]
        [worker] = [each for each in self.workers if each.name == name]
        return worker

    def owner(self, execution_id: str) -> Managed:
        """The worker that runs an execution now."""
        return self.worker_of(self._process_of(execution_id)[0])

    def kill_child(self, execution_id: str) -> None:
        """Kill the very process that runs an execution: a child, or the worker with threads."""
        name, pid = self._process_of(execution_id)
        worker = self.worker_of(name)
        if pid == worker.pid:
            worker.kill()
        else:
            os.kill(pid, signal.SIGKILL)

    def kill_parent(self, execution_id: str) -> None:
        """Kill the leader of the worker that runs an execution, and nothing else."""
        self.owner(execution_id).kill()

    def disband(self) -> None:
        """Lose all workers at once."""
        for worker in self.workers:
            if worker.is_running:
                worker.thaw()
                worker.kill_all()
        self.workers = []

    def _process_of(self, execution_id: str) -> tuple[str, int]:
        found: list[tuple[str, int]] = []

        def is_owned() -> bool:
            owner = owner_of(self._stack, execution_id)
            found[:] = [owner] if owner else []
            return owner is not None

        wait_until(is_owned, f"{execution_id} is run by someone")
        return found[0]
