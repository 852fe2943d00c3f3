"""Node steps of a worker process, each run as the task `tasks.run_node` without a message."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from celery import Celery

from app.executions.lanes import Lanes
from app.executions.steps import Step
from tasks.announcer import Announcer

if TYPE_CHECKING:
    from celery.app.task import Task


class Launcher:
    """Calls the task for a step; with `is_shown` that is announced as if a message had come."""

    def __init__(self, app: Celery, announcer: Announcer, *, is_shown: bool) -> None:
        self._app = app
        self._announcer = announcer
        self._is_shown = is_shown
        self._lanes = Lanes()
        #: What the task is to run, by execution and node: it takes it from here.
        self.steps: dict[tuple[str, str], Step] = {}

    def launch(self, step: Step) -> None:
        """Run a node step: in a thread of its own, unless it is done before one wakes."""
        self.steps[step.execution_id, step.node_id] = step
        if step.start.node.spec.in_place:
            self._call(step.execution_id, step.node_id)
        else:
            self._lanes.run(lambda: self._call(step.execution_id, step.node_id))

    def _call(self, execution_id: str, node_id: str) -> None:
        # Its `run`, not itself: there is no request, and Celery's costs as much as the node.
        if not self._is_shown:
            self._run_node.run(execution_id, node_id)
            return
        with self._announcer.announced(self._run_node.name, execution_id, node_id):
            self._run_node.run(execution_id, node_id)

    @cached_property
    def _run_node(self) -> Task[..., None]:
        # Looked up late: the tasks are registered once the app is complete.
        task: Task[..., None] = self._app.tasks["tasks.run_node"]
        return task
