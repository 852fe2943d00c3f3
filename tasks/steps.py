"""The tasks. A message carries ids only, and says no more than: look here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.nodes.queues import DEFAULT_QUEUE
from tasks.app import app
from tasks.process import process

if TYPE_CHECKING:
    from celery.app.task import Task


@app.task(name="tasks.await_start", bind=True)
def await_start(self: Task[..., None], execution_id: str) -> None:
    """Go on in this process if the start signal is there; else park, holding nothing.

    Where messages like this one left no room for the hint of another execution, look for that.
    """
    if process().is_started(execution_id) or process().is_looked_for():
        advance(execution_id)
    # The rest of the chain was called, or waits for a start: Celery must not send it.
    self.request.chain = None


@app.task(name="tasks.advance")
def advance(execution_id: str) -> None:
    """Run an execution from its last checkpoint on, and then what else is waiting."""
    process().work(execution_id)


@app.task(name="tasks.run_node", bind=True)
def run_node(self: Task[..., None], execution_id: str, node_id: str) -> None:
    """Run one node of an execution that this process owns, or that was sent to its queue."""
    if process().run_launched(execution_id, node_id):
        return
    came_by = self.request.delivery_info or {}
    queue = came_by.get("routing_key") or DEFAULT_QUEUE
    if not process().run_step(execution_id, node_id, queue):
        # It was sent on, with the rest of the chain.
        self.request.chain = None
