"""Every sample flow runs, and does what its description says; here on two databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis import Redis

from app.streams import keys
from tests.system.stack import Stack
from tests.system.traces import ask, read_events
from tests.system.watchers import watching
from tests.waiting import wait_until

SAMPLES = Path(__file__).parents[2] / "samples"

STACK = {
    "databases": 2,
    "environ": {"SECRET_KEY": "k" * 32, "NODE_MODULES": "tests.system.secret_nodes"},
}

ENDS_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"


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


def test_what_was_told_live_is_read_the_same_once_the_streams_have_expired(
    stack: Stack, echo_url: str
) -> None:
    inputs: dict[str, Any] = {
        "greeting": {"who": {"text": 'Zoë \U0001d11e "\\n'}},
        "fan-out": {"address": {"text": echo_url.removesuffix("/echo")}},
        "handled-failure": {},
    }
    execution_ids = []
    for name, given in inputs.items():
        flow_id = stack.store(json.loads((SAMPLES / f"{name}.json").read_bytes()))
        execution_ids.append(stack.run(flow_id, inputs=given, autostart=False))
    with watching(stack, execution_ids) as live:
        for each in execution_ids:
            stack.http.post(f"/api/v1/executions/{each}/start").raise_for_status()
            stack.await_status(each)
    with Redis.from_url(stack.redis_url) as redis:
        assert redis.delete(*map(keys.events, execution_ids)) == len(execution_ids)
    with watching(stack, execution_ids) as late:
        pass

    assert live.failures == late.failures == {}
    assert set(live.ended.values()) == {"completed"}
    for each in execution_ids:
        told = json.dumps(live.events[each])
        assert len(live.events[each]) > 6
        assert json.dumps(late.events[each]) == told
        assert json.dumps(read_events(stack, each)) == told
        assert json.dumps(streamed(stack, each)) == told


def streamed(stack: Stack, execution_id: str) -> list[dict[str, Any]]:
    """All events of an execution that has ended, as Server-Sent Events tell them."""
    answer = stack.http.get(
        f"/api/v1/executions/{execution_id}/events", headers={"Accept": "text/event-stream"}
    )
    answer.raise_for_status()
    messages = [message.split("\n") for message in answer.text.removesuffix("\n\n").split("\n\n")]
    assert messages[-1][0] == "event: end"
    return [json.loads(data.removeprefix("data: ")) for _, _, data in messages[:-1]]


# -- what is different with two databases


@contextmanager
def without_flows(stack: Stack) -> Iterator[None]:
    """Nobody reaches the database of DATABASE_URL, for as long as the block lasts."""
    name = urlsplit(stack.flows_url).path.removeprefix("/")

    def allow(may_connect: str) -> None:
        ask(stack.database_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS {may_connect}")

    allow("false")
    try:
        ask(stack.database_url, ENDS_SESSIONS, name)
        yield
    finally:
        allow("true")


def test_what_is_created_needs_the_database_of_flows_no_more(stack: Stack) -> None:
    flow_id = stack.store(json.loads((SAMPLES / "greeting.json").read_bytes()))
    execution_id = stack.run(flow_id, autostart=False)
    with without_flows(stack):
        answer = stack.http.post("/api/v1/executions", json={"flowId": flow_id})
        assert answer.status_code == 503
        stack.http.post(f"/api/v1/executions/{execution_id}/start").raise_for_status()
        assert stack.await_status(execution_id)["outputs"] == {"greeting": "Hello Ada!"}


def test_a_secret_is_found_where_it_was_stored(stack: Stack) -> None:
    stack.http.post("/api/v1/secrets", json={"name": "token", "data": "hush"}).raise_for_status()
    values = {"name": "token", "holds": "hush"}
    opening = {"id": "open", "type": "OpeningNode", "values": values}
    flow_id = stack.store({"metadata": {"name": "Secret"}, "nodes": [opening], "edges": []})
    execution = stack.await_status(stack.run(flow_id))
    assert execution["outputs"] == {"open": {"opened": True}}


def test_who_did_what_is_noted_in_the_database_of_flows(stack: Stack) -> None:
    flow_id = stack.store(json.loads((SAMPLES / "greeting.json").read_bytes()))
    execution_id = stack.run(flow_id, autostart=False)
    stack.http.post(f"/api/v1/executions/{execution_id}/stop").raise_for_status()
    note = "SELECT action FROM chaingraph_audit WHERE subject_id = %s"
    wait_until(
        lambda: ask(stack.flows_url, note, execution_id) == [("stop",)],
        "a worker has moved the note",
    )
    wait_until(
        lambda: ask(stack.database_url, note, execution_id) == [], "it is there alone", within_s=60
    )
