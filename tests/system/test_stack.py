"""The stack that the other tests here stand on does what it says."""

from __future__ import annotations

import pytest

from tests.system.stack import Stack
from tests.waiting import wait_until

GREETING = {
    "metadata": {"name": "Greeting"},
    "nodes": [{"id": "who", "type": "TextNode", "values": {"text": "Ada"}}],
    "edges": [],
}


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_flow_runs_on_each_kind_of_worker_and_the_worker_ends_in_good_order(
    bare_stack: Stack, pool: str
) -> None:
    worker = bare_stack.start_worker(pool=pool)
    execution_id = bare_stack.run(bare_stack.store(GREETING))
    execution = bare_stack.await_status(execution_id)
    assert execution["status"] == "completed"
    assert execution["outputs"] == {"who": {"text": "Ada"}}
    assert execution["processingWorkerId"].startswith(worker.name)
    assert worker.terminate() == 0
    assert not bare_stack.workers()


def test_a_killed_worker_takes_its_children_along(bare_stack: Stack) -> None:
    worker = bare_stack.start_worker()
    children = worker.children()
    worker.freeze()
    worker.thaw()
    worker.kill()
    assert len(children) >= 2
    wait_until(lambda: not any(child.is_running() for child in children), "the children are gone")


def test_a_worker_can_be_lost_with_everything_in_it(bare_stack: Stack) -> None:
    worker = bare_stack.start_worker()
    processes = worker.group()
    worker.kill_all()
    wait_until(lambda: not any(each.is_running() for each in processes), "all are gone")
