"""Node steps of a worker process, each run as the task `tasks.run_node` without a message."""

from __future__ import annotations

from contextlib import nullcontext

from celery import Celery

from app.executions.lanes import Lanes
from app.executions.steps import Step
from tasks.announcer import Announcer

_UNSEEN = nullcontext()


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
        run_node = self._app.tasks["tasks.run_node"]
        name = run_node.name
        announced = self._announcer.announced
        with announced(name, execution_id, node_id) if self._is_shown else _UNSEEN:
            # Its `run`, not itself: there is no request, and Celery's costs as much as the node.
            run_node.run(execution_id, node_id)
