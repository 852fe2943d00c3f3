"""Every sample flow runs, and does what its description says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.system.stack import Stack

SAMPLES = Path(__file__).parents[2] / "samples"


def outcome(stack: Stack, name: str, **inputs: dict[str, Any]) -> dict[str, Any]:
    """Run a sample to its end; `inputs` by node id."""
    flow_id = stack.store(json.loads((SAMPLES / f"{name}.json").read_bytes()))
    execution = stack.await_status(stack.run(flow_id, inputs=inputs))
    assert execution["status"] == "completed", execution
    return execution


def test_greeting(stack: Stack) -> None:
    assert outcome(stack, "greeting")["outputs"] == {"greeting": "Hello Ada!"}


def test_order_takes_the_branches_that_its_inputs_say(stack: Stack) -> None:
    large = outcome(stack, "order")
    assert large["outputs"]["total"] == 108
    assert "by parcel" in large["outputs"]["confirmation"]
    small = outcome(stack, "order", total={"num": 20}, country={"text": "JP"})
    assert small["outputs"]["total"] == 20
    assert "by ship" in small["outputs"]["confirmation"]
    assert small["progress"] == {"total": 14, "completed": 11, "failed": 0, "skipped": 3}


def test_fan_out_calls_at_the_same_time(stack: Stack, echo_url: str) -> None:
    execution = outcome(stack, "fan-out", address={"text": echo_url.removesuffix("/echo")})
    assert execution["outputs"]["report"].count("answers 200") == 8
    events = stack.http.get(f"/api/v1/executions/{execution['id']}/events?limit=1000").json()
    calls = [
        event["type"]
        for event in events["events"]
        if event["data"].get("nodeId", "").startswith("call-")
    ]
    assert calls == ["node:started"] * 8 + ["node:completed"] * 8


def test_long_runs_its_steps_one_after_the_other(stack: Stack, echo_url: str) -> None:
    address = {"text": echo_url.removesuffix("/echo")}
    execution = outcome(stack, "long", address=address, path={"text": "/echo?delayMs=10"})
    assert execution["outputs"] == {"report": "The last of 20 steps was answered with 200."}
    nodes = stack.http.get(f"/api/v1/executions/{execution['id']}/nodes").json()["items"]
    steps = [node["completedAt"] for node in nodes if node["id"].startswith("step-")]
    assert steps == sorted(steps)
    assert len(steps) == 20


def test_handled_failure_completes_either_way(stack: Stack) -> None:
    failed = outcome(stack, "handled-failure")
    assert failed["outputs"]["report"].startswith("The message was put aside: ")
    assert failed["progress"]["failed"] == 1
    well = outcome(stack, "handled-failure", received={"text": "{}"})
    assert well["outputs"] == {"report": "The message was read."}
