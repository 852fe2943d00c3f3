"""Flower shows every execution, whether a message brought it or it was found in the backlog."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.system.stack import Stack
from tests.waiting import wait_until

FLOW: dict[str, Any] = {
    "metadata": {"name": "Two"},
    "nodes": [
        {"id": "a", "type": "TextNode", "values": {"text": "x"}},
        {"id": "b", "type": "DebugLogNode"},
    ],
    "edges": [{"source": "a.text", "target": "b.message"}],
}


def shown_tasks(stack: Stack) -> list[dict[str, Any]]:
    answer = httpx.get(f"{stack.flower_url}/api/tasks", params={"limit": 1000})
    answer.raise_for_status()
    return list(answer.json().values())


def await_listening(stack: Stack) -> None:
    """Flower answers before it listens: wait until it has shown anything."""
    flow_id = stack.store(FLOW)

    def is_shown() -> bool:
        stack.await_status(stack.run(flow_id))
        return bool(shown_tasks(stack))

    wait_until(is_shown, "Flower listens")


def run_many(stack: Stack, count: int, document: dict[str, Any] = FLOW) -> list[str]:
    flow_id = stack.store(document)
    items = [{"flowId": flow_id, "autostart": True}] * count
    answer = stack.http.post("/api/v1/executions/batch", json={"items": items})
    assert answer.status_code == 201, answer.text
    ids = [each["id"] for each in answer.json()["items"]]
    for execution_id in ids:
        stack.await_status(execution_id, "completed")
    return ids


@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=pytest.mark.soak)])
def test_every_execution_of_a_backlog_is_shown_with_its_id_and_worker(
    bare_stack: Stack, pool: str
) -> None:
    worker = bare_stack.start_worker(pool=pool, concurrency=1)
    bare_stack.start_flower()
    await_listening(bare_stack)
    ids = run_many(bare_stack, 30)

    def succeeded() -> dict[str, dict[str, Any]]:
        done = [each for each in shown_tasks(bare_stack) if each["state"] == "SUCCESS"]
        return {each["args"]: each for each in done}

    wanted = {f"('{execution_id}',)" for execution_id in ids}
    wait_until(lambda: wanted <= succeeded().keys(), "all of them are shown")
    # What began before Flower listened has no name there.
    tasks = [each for each in shown_tasks(bare_stack) if each["name"]]
    assert {each["name"] for each in tasks} <= {"tasks.advance", "tasks.await_start"}
    assert {each["worker"].split("@")[0] for each in tasks} == {worker.name}
    for each in succeeded().values():
        if not each["name"]:
            continue
        assert each["received"] <= each["started"] <= each["succeeded"]


def test_nodes_are_shown_where_that_is_wanted(bare_stack: Stack) -> None:
    """Those that run in place, and one that a message brings to its queue: each once."""
    worker = bare_stack.start_worker(queues="default,gpu", env={"FLOWER_STEPS": "true"})
    bare_stack.start_flower()
    await_listening(bare_stack)
    sent = {"id": "c", "type": "DebugLogNode", "queue": "gpu"}
    document = {**FLOW, "nodes": [*FLOW["nodes"], sent]}
    [execution_id] = run_many(bare_stack, 1, document)
    wanted = [f"('{execution_id}', '{node}')" for node in ("a", "b", "c")]

    def shown_nodes() -> list[dict[str, Any]]:
        steps = [each for each in shown_tasks(bare_stack) if each["name"] == "tasks.run_node"]
        return [each for each in steps if execution_id in each["args"]]

    def succeeded() -> list[str]:
        return sorted(each["args"] for each in shown_nodes() if each["state"] == "SUCCESS")

    wait_until(lambda: succeeded() == wanted, "all nodes are shown")
    assert {each["worker"].split("@")[0] for each in shown_nodes()} == {worker.name}
    assert {each["kwargs"] for each in shown_nodes()} == {"{}"}
