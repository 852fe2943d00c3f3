"""`POST /executions/{id}/fork`, in both modes, of executions that run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.client.shapes import Execution
from app.config import load_settings
from tests.integration.executions.process import Process
from tests.integration.web.conftest import flow_of, text
from tests.waiting import wait_until
from tests.world import PgWorld, World
from web.composition import PARTS
from web.programming import Interface

EXECUTIONS = "/api/v1/executions"
NOWHERE = "EX" + "2" * 24

Json = dict[str, Any]
Run = Callable[[str], Json]


@pytest.fixture
def run(client: FlaskClient, beside: World) -> Iterator[Run]:
    """Wait until a started execution ends, or waits; run it where nobody does."""
    process = Process(beside) if isinstance(beside, PgWorld) else None

    def drive(execution_id: str) -> Json:
        if process is not None:
            process.run(execution_id)
        else:
            wait_until(lambda: _rests(client, execution_id), "it ends or waits")
        return shown(client, execution_id)

    yield drive
    if process is not None:
        process.end()


def _rests(client: FlaskClient, execution_id: str) -> bool:
    execution = shown(client, execution_id)
    waiting = execution["waiting"]
    return execution["completedAt"] is not None or bool(waiting and waiting["for"] != "worker")


def shown(client: FlaskClient, execution_id: str) -> Json:
    execution: Json = client.get(f"{EXECUTIONS}/{execution_id}").get_json()
    return execution


def fork(client: FlaskClient, execution_id: str, **body: Any) -> TestResponse:
    headers = body.pop("headers", {})
    return client.post(f"{EXECUTIONS}/{execution_id}/fork", json=body, headers=headers)


def create(client: FlaskClient, document: Json, **more: Any) -> str:
    flow = client.post("/api/v1/flows", json=document)
    assert flow.status_code == 201, flow.text
    body = {"flowId": flow.get_json()["id"], "autostart": True, **more}
    created = client.post(EXECUTIONS, json=body)
    assert created.status_code == 201, created.text
    execution_id: str = created.get_json()["id"]
    return execution_id


def events(client: FlaskClient, execution_id: str) -> list[Json]:
    page = client.get(f"{EXECUTIONS}/{execution_id}/events?limit=1000").get_json()
    found: list[Json] = page["events"]
    assert [each["index"] for each in found] == list(range(-1, len(found) - 1))
    return found


def started(client: FlaskClient, execution_id: str) -> list[str]:
    return [
        each["data"]["nodeId"]
        for each in events(client, execution_id)
        if each["type"] == "node:started"
    ]


def row_of(*ids: str, **more: Any) -> Json:
    """Text nodes, each handing its text to the next."""
    edges = [{"source": f"{a}.text", "target": f"{b}.text"} for a, b in itertools.pairwise(ids)]
    return flow_of(*map(text, ids), edges=edges, **more)


def test_of_a_hundred_nodes_at_the_91st_ten_run(client: FlaskClient, run: Run) -> None:
    ids = [f"n{number}" for number in range(1, 101)]
    source = create(client, row_of(*ids), inputs={"n1": {"text": "Grace"}})
    assert run(source)["status"] == "completed"

    forked = fork(client, source, fromNodeId="n91", autostart=True)

    assert forked.status_code == 201
    made = forked.get_json()
    assert forked.headers["Location"] == f"{EXECUTIONS}/{made['id']}"
    assert made["forkedFrom"] == source
    assert made["rootExecutionId"] == made["id"]
    ended = run(made["id"])
    assert ended["status"] == "completed"
    assert ended["outputs"] == {"n100": {"text": "Grace"}}
    assert ended["progress"] == {"total": 100, "completed": 100, "failed": 0, "skipped": 0}
    assert started(client, made["id"]) == ids[90:]
    told = events(client, made["id"])[0]["data"]
    assert (told["forkedFrom"], told["takenOver"]) == (source, ids[:90])


def test_what_is_taken_over_is_seen_before_it_starts(client: FlaskClient, run: Run) -> None:
    source = create(client, row_of("a", "b", "c"))
    run(source)

    made = fork(client, source, fromNodeId="c").get_json()

    assert made == shown(client, made["id"])
    assert (made["status"], made["requested"]) == ("created", None)
    assert made["waiting"]["for"] == "start-signal"
    assert made["progress"] == {"total": 3, "completed": 2, "failed": 0, "skipped": 0}
    nodes = client.get(f"{EXECUTIONS}/{made['id']}/nodes").get_json()["items"]
    assert [each["status"] for each in nodes] == ["completed", "completed", "initialized"]
    there = client.get(f"{EXECUTIONS}/{source}/nodes/a").get_json()
    assert nodes[0] == there
    client.post(f"{EXECUTIONS}/{made['id']}/start")
    assert run(made["id"])["status"] == "completed"
    assert [each["type"] for each in events(client, made["id"])] == [
        "execution:created",
        "flow:started",
        "node:started",
        "node:completed",
        "flow:completed",
        "execution:completed",
    ]


def test_inputs_and_options_are_laid_over_the_former(client: FlaskClient, run: Run) -> None:
    options = {"priority": 7, "execution": {"maxConcurrency": 3, "nodeTimeoutMs": 5000}}
    document = flow_of(text("a"), text("b"), text("c"))
    source = create(
        client,
        document,
        inputs={"a": {"text": "one"}, "b": {"text": "two"}},
        options=options,
        integration={"key": 1},
    )
    run(source)

    body = {"inputs": {"b": {"text": "three"}}, "options": {"execution": {"maxConcurrency": 1}}}
    made = fork(client, source, fromNodeId="b", autostart=True, **body).get_json()

    assert made["options"]["priority"] == 7
    assert made["options"]["execution"]["maxConcurrency"] == 1
    assert made["options"]["execution"]["nodeTimeoutMs"] == 5000
    assert made["integration"] == {"key": "********"}
    outputs = run(made["id"])["outputs"]
    assert {each: value["text"] for each, value in outputs.items()} == {
        "a": "one",
        "b": "three",
        "c": "Ada",
    }
    assert started(client, made["id"]) == ["b"]


WAITER = {"id": "wait", "type": "WaitForSignalNode", "values": {"name": "go"}}


def test_a_failed_execution_goes_on_on_a_mended_flow(client: FlaskClient, run: Run) -> None:
    flow_id = "V2mended"
    edges = [
        {"source": "a.text", "target": "gate.text"},
        {"source": "gate.text", "target": "c.text"},
        {"source": "other.text", "target": "d.text"},
    ]
    nodes = [text("a"), text("c"), text("other"), text("d")]
    gate = {**text("gate"), "values": {"__execute": True}}
    source = create(client, flow_of(*nodes, gate, edges=edges, id=flow_id))
    run(source)
    mended = [*nodes[:2], text("other", "Grace"), nodes[3], gate]
    client.post("/api/v1/flows", json=flow_of(*mended, edges=edges, id=flow_id))

    made = fork(client, source, flowVersion=2, autostart=True).get_json()

    assert made["flowVersion"] == 2
    ended = run(made["id"])
    assert started(client, made["id"]) == ["other", "d"]
    assert ended["outputs"]["d"] == {"text": "Grace"}
    assert ended["outputs"]["c"] == {"text": "Ada"}


def test_one_that_waits_is_forked_and_waits_anew(client: FlaskClient, run: Run) -> None:
    edges = [{"source": "a.text", "target": "b.text"}]
    source = create(client, flow_of(text("a"), text("b"), WAITER, edges=edges))
    assert run(source)["waiting"]["for"] == "signal"

    made = fork(client, source, autostart=True).get_json()

    assert run(made["id"])["waiting"]["for"] == "signal"
    assert started(client, made["id"]) == ["wait"]
    client.post(f"{EXECUTIONS}/{made['id']}/signals/go", json={"by": "Ada"})
    assert run(made["id"])["status"] == "completed"
    assert shown(client, source)["status"] == "running"
    client.post(f"{EXECUTIONS}/{source}/stop")


def test_what_is_taken_over_makes_no_children_again(
    client: FlaskClient, run: Run, beside: World
) -> None:
    emitter = {"id": "emit", "type": "EventEmitterNode", "values": {"eventName": "x"}}
    document = flow_of(
        emitter, text("after"), edges=[{"source": "emit.__success", "target": "after.__execute"}]
    )
    source = create(client, document, events=[])
    run(source)
    children = [
        row.id
        for row in beside.rows("chaingraph_executions")
        if row.parent_execution_id is not None
    ]
    assert len(children) == 1

    made = fork(client, source, fromNodeId="after", autostart=True).get_json()

    assert run(made["id"])["status"] == "completed"
    assert not beside.rows("chaingraph_executions", parent_execution_id=made["id"])
    child = fork(client, children[0], autostart=True).get_json()
    assert (child["parentExecutionId"], child["executionDepth"]) == (None, 0)
    assert [each["eventName"] for each in child["externalEvents"]] == ["x"]
    run(child["id"])


def test_children_of_further_events_are_made_once(
    client: FlaskClient, run: Run, beside: World
) -> None:
    listener = {"id": "on", "type": "EventListenerNodeV2", "values": {"eventName": "x"}}
    given = [{"eventName": "x"}, {"eventName": "y"}]
    source = create(client, flow_of(listener), events=given, autostart=False)

    early = fork(client, source).get_json()
    client.post(f"{EXECUTIONS}/{source}/start")
    run(source)
    late = fork(client, source).get_json()

    assert [each["eventName"] for each in early["externalEvents"]] == ["x", "y"]
    assert [each["eventName"] for each in late["externalEvents"]] == ["x"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"inputs": {"a": {"text": "x"}}}, "/inputs/a"),
        ({"fromNodeId": "b", "inputs": {"a": {"text": "x"}}}, "/inputs/a"),
        ({"fromNodeId": "nobody"}, "/fromNodeId"),
        ({"fromNodeId": "a", "inputs": {"nobody": {"text": "x"}}}, "/inputs/nobody"),
        ({"fromNodeId": "a", "inputs": {"nobody": {}}}, "/inputs/nobody"),
        ({"fromNodeId": "a", "inputs": {"a": {"text": 5}}}, "/inputs/a/text"),
        ({"options": {"priority": 10}}, "/options/priority"),
        ({"options": {"breakpoints": ["nobody"]}}, "/options/breakpoints/0"),
        ({"flowVersion": 0}, "/flowVersion"),
        ({"from": "a"}, "/from"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_made(
    client: FlaskClient, run: Run, beside: World, body: Json, pointer: str
) -> None:
    source = create(client, row_of("a", "b"))
    run(source)

    answer = fork(client, source, **body)

    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.get_json()["errors"]] == [pointer]
    assert len(beside.rows("chaingraph_executions")) == 1


def test_what_is_not_there_is_not_forked(client: FlaskClient) -> None:
    source = create(client, row_of("a"), autostart=False)
    flow_id = shown(client, source)["flowId"]

    assert fork(client, NOWHERE).status_code == 404
    assert fork(client, source, flowVersion=2).status_code == 404
    client.delete(f"/api/v1/flows/{flow_id}")
    deleted = fork(client, source)
    assert (deleted.status_code, deleted.get_json()["code"]) == (409, "CONFLICT")


def test_sent_again_under_its_key_it_is_the_same_fork(
    client: FlaskClient, beside: World, run: Run
) -> None:
    source = create(client, row_of("a", "b"))
    run(source)
    key = {"Idempotency-Key": "once"}

    first = fork(client, source, fromNodeId="b", headers=key)
    again = fork(client, source, fromNodeId="b", headers=key)

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.get_json() == first.get_json()
    assert fork(client, source, headers=key).status_code == 422
    assert len(beside.rows("chaingraph_executions")) == 2


def test_a_fork_of_a_fork_has_what_both_ran(client: FlaskClient, run: Run) -> None:
    source = create(client, row_of("a", "b", "c"))
    run(source)
    second = fork(client, source, fromNodeId="b", autostart=True).get_json()["id"]
    run(second)

    third = fork(client, second, fromNodeId="c", autostart=True).get_json()

    assert third["forkedFrom"] == second
    assert run(third["id"])["outputs"] == {"c": {"text": "Ada"}}
    assert started(client, third["id"]) == ["c"]


def test_all_of_it_taken_over_it_is_over_at_once(client: FlaskClient, run: Run) -> None:
    source = create(client, row_of("a", "b"))
    outputs = run(source)["outputs"]
    made = fork(client, source, autostart=True).get_json()
    assert run(made["id"])["outputs"] == outputs
    assert started(client, made["id"]) == []


def test_the_programming_interface_forks(app: Flask, client: FlaskClient, run: Run) -> None:
    face = Interface.over(app.extensions[PARTS], load_settings({}))
    source = create(client, row_of("a", "b"))
    run(source)

    made = face.service.fork(source, from_node_id="b", options={"execution": {"maxConcurrency": 2}})

    assert made == Execution.from_json(shown(client, made.id))
    assert made.raw["forkedFrom"] == source
    assert made.raw["options"]["execution"]["maxConcurrency"] == 2
