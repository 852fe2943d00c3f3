"""A worker tells what its processes count, also of those that were killed."""

from __future__ import annotations

from pathlib import Path

import httpx

from app.embedded.ports import free_port
from tests.reading_metrics import total, value
from tests.system.stack import Managed, Stack
from tests.waiting import wait_until

FLOW = {
    "metadata": {"name": "Two"},
    "nodes": [
        {"id": "a", "type": "TextNode", "values": {"text": "x"}},
        {"id": "b", "type": "DebugLogNode"},
    ],
    "edges": [{"source": "a.text", "target": "b.message"}],
}


def text_of(port: int) -> str:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    answer.raise_for_status()
    return answer.text


def scratch_of(worker: Managed) -> str:
    """Where the worker's processes count: a directory that the parent has a file of open."""
    [place] = {
        each.path.rsplit("/", 1)[0]
        for each in worker.group()[0].open_files()
        if "/cg-metrics-" in each.path
    }
    return place


def test_a_worker_counts_for_its_children_and_for_those_that_died(bare_stack: Stack) -> None:
    port = free_port()
    given = {"WORKER_METRICS_PORT": str(port), "METRICS_INCLUDE_MEMORY": "true"}
    worker = bare_stack.start_worker(concurrency=1, env=given)
    flow_id = bare_stack.store(FLOW)
    for _ in range(3):
        bare_stack.await_status(bare_stack.run(flow_id), "completed")
    wait_until(
        lambda: value(text_of(port), "chaingraph_run_duration_seconds_count", end="finished") == 3,
        "all of them are counted",
    )
    text = text_of(port)
    assert value(text, "chaingraph_checkpoints_total") == 6
    assert total(text, "chaingraph_node_duration_seconds_count", type="DebugLogNode") == 3
    assert value(text, "chaingraph_executions_ended_total", status="completed") == 3
    # Parent and child.
    pids = {worker.pid, *(child.pid for child in worker.children())}
    for pid in pids:
        assert value(text, "chaingraph_process_resident_bytes", pid=str(pid)) > 1_000_000

    [child] = worker.children()
    child.kill()
    wait_until(lambda: {each.pid for each in worker.children()} - pids, "there is another child")
    bare_stack.await_status(bare_stack.run(flow_id), "completed")
    wait_until(
        lambda: value(text_of(port), "chaingraph_checkpoints_total") == 8,
        "what the dead counted stays",
    )
    place = scratch_of(worker)
    assert worker.terminate() == 0
    assert not Path(place).exists()
    # What the workers of the cluster did is known to the API.
    assert value(text_of(bare_stack.port), "chaingraph_executions", status="completed") == 4
