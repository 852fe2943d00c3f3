from __future__ import annotations

import json
from typing import Any

from flask.testing import FlaskClient

from app.config import load_settings
from tests.integration.web.conftest import GREETING, Count, Rows, flow_of, text
from tests.world import World
from web import create_app

EXECUTIONS = "/api/v1/executions"
NO_REDIS = "redis://127.0.0.1:1"


def create(client: FlaskClient, flow_id: str, **more: Any) -> dict[str, Any]:
    response = client.post(EXECUTIONS, json={"flowId": flow_id, **more})
    assert response.status_code == 201, response.text
    execution: dict[str, Any] = response.get_json()
    assert response.headers["Location"] == f"{EXECUTIONS}/{execution['id']}"
    return execution


def test_a_created_execution_waits_for_its_start(client: FlaskClient, flow_id: str) -> None:
    execution = create(client, flow_id)
    assert (execution["status"], execution["requested"]) == ("created", None)
    assert execution["waiting"]["for"] == "start-signal"
    assert (execution["flowVersion"], execution["ownerId"]) == (1, "local")
    assert execution["options"]["execution"]["maxConcurrency"] == 50
    assert execution["rootExecutionId"] == execution["id"] == execution["executionId"]
    assert client.get(f"{EXECUTIONS}/{execution['id']}").get_json() == execution


def test_starting_is_requested_once(client: FlaskClient, flow_id: str) -> None:
    start = f"{EXECUTIONS}/{create(client, flow_id)['id']}/start"
    started = client.post(start)
    assert (started.status_code, started.get_json()["requested"]) == (202, "start")
    again = client.post(start)
    assert (again.status_code, again.get_json()["code"]) == (409, "CONFLICT")


def test_it_can_be_created_and_started_at_once(client: FlaskClient, flow_id: str) -> None:
    execution = create(client, flow_id, autostart=True)
    assert (execution["status"], execution["requested"]) == ("created", "start")
    assert client.post(f"{EXECUTIONS}/{execution['id']}/start").status_code == 409


def test_commands_are_taken_without_redis(database_url: str, redis_url: str) -> None:
    settings = load_settings({"DATABASE_URL": database_url, "REDIS_URL": NO_REDIS})
    client = create_app(settings).test_client()
    flow_id = client.post("/api/v1/flows", json=GREETING).get_json()["id"]
    execution = create(client, flow_id)
    assert client.post(f"{EXECUTIONS}/{execution['id']}/start").status_code == 202


def test_a_version_can_be_chosen(client: FlaskClient, flow_id: str) -> None:
    client.put(f"/api/v1/flows/{flow_id}", json=GREETING)
    assert create(client, flow_id)["flowVersion"] == 2
    assert create(client, flow_id, flowVersion=1)["flowVersion"] == 1
    response = client.post(EXECUTIONS, json={"flowId": flow_id, "flowVersion": 3})
    assert response.status_code == 404


def test_a_flow_that_is_not_there_is_a_404(client: FlaskClient, flow_id: str) -> None:
    assert client.post(EXECUTIONS, json={"flowId": "V2none"}).status_code == 404
    client.delete(f"/api/v1/flows/{flow_id}")
    assert client.post(EXECUTIONS, json={"flowId": flow_id}).status_code == 404


def test_another_owners_flow_is_a_403(client: FlaskClient, flow_id: str, beside: World) -> None:
    beside.change("chaingraph_flows", {}, owner_id="ada")
    response = client.post(EXECUTIONS, json={"flowId": flow_id})
    assert response.status_code == 403
    assert response.get_json()["detail"] == "User does not own this flow"


MISFITS: list[tuple[Any, str]] = [
    ({"z": {"text": "x"}}, "/inputs/z"),
    ({"a": {"z": "x"}}, "/inputs/a/z"),
    ({"a": {"__success": True}}, "/inputs/a/__success"),
    ({"a": {"text": 5}}, "/inputs/a/text"),
]


def test_inputs_that_do_not_fit_are_named(client: FlaskClient, flow_id: str, count: Count) -> None:
    for inputs, pointer in MISFITS:
        wrong = {"flowId": flow_id, "inputs": inputs}
        response = client.post(EXECUTIONS, json=wrong)
        assert response.status_code == 422
        assert response.get_json()["errors"][0]["pointer"] == pointer
        batch = client.post(f"{EXECUTIONS}/batch", json={"items": [{"flowId": flow_id}, wrong]})
        assert batch.status_code == 422
        assert batch.get_json()["errors"][0]["pointer"] == f"/items/1{pointer}"
    assert count("chaingraph_executions") == 0


REFUSED = [
    b"{",
    b"[]",
    b"[" * 900,
    b'{"flowId": "%s", "inputs": {"a": {"text": ' + b"[" * 900 + b"]" * 900 + b"}}}",
    b'{"flowId": "%s", "inputs": {"a": {"text": ' + b"1" * 400 + b"}}}",
    rb'{"flowId": "%s", "inputs": {"a": {"text": "\u0000"}}}',
    rb'{"flowId": "%s", "inputs": {"a": {"text": "\ud800"}}}',
    b'{"flowId": "%s", "integration": "' + b"x" * 70_000 + b'"}',
    b'{"flowId": "%s", "integration": "' + b"x" * 6_000_000 + b'"}',
    rb'{"flowId": "\u0000"}',
    b'{"flowId": "%s", "options": {"priority": 99}}',
    b'{"flowId": "%s", "unknown": 1}',
]


def test_what_cannot_be_taken_leaves_no_trace(
    client: FlaskClient, flow_id: str, count: Count
) -> None:
    for body in REFUSED:
        sent = body.replace(b"%s", flow_id.encode())
        for path, whole in (("", sent), ("/batch", b'{"items": [' + sent + b"]}")):
            response = client.post(EXECUTIONS + path, data=whole, content_type="application/json")
            assert response.status_code in {400, 413, 422}, body[:100]
            assert response.mimetype == "application/problem+json"
    assert count("chaingraph_executions") == 0


def test_a_batch_is_created_in_order(client: FlaskClient, flow_id: str, count: Count) -> None:
    items = [
        {"flowId": flow_id, "options": {"priority": n % 10}, "autostart": n % 2 == 0}
        for n in range(20)
    ]
    response = client.post(f"{EXECUTIONS}/batch", json={"items": items})
    assert response.status_code == 201
    created = response.get_json()["items"]
    assert [item["options"]["priority"] for item in created] == [n % 10 for n in range(20)]
    assert [item["requested"] for item in created] == ["start", None] * 10
    assert count("chaingraph_executions") == 20


def test_a_batch_with_an_unknown_flow_creates_nothing(
    client: FlaskClient, flow_id: str, count: Count
) -> None:
    items = [{"flowId": flow_id}, {"flowId": "V2none"}]
    assert client.post(f"{EXECUTIONS}/batch", json={"items": items}).status_code == 404
    assert count("chaingraph_executions") == 0


def test_nodes_are_shown_before_anything_ran(client: FlaskClient, flow_id: str) -> None:
    path = f"{EXECUTIONS}/{create(client, flow_id)['id']}/nodes"
    page = client.get(path).get_json()
    assert [(node["id"], node["status"]) for node in page["items"]] == [
        ("a", "initialized"),
        ("b", "initialized"),
    ]
    assert page["nextCursor"] is None
    first = client.get(f"{path}?limit=1").get_json()
    second = client.get(f"{path}?limit=1&cursor={first['nextCursor']}").get_json()
    assert [first["items"][0]["id"], second["items"][0]["id"]] == ["a", "b"]
    assert second["nextCursor"] is None
    assert client.get(f"{path}/b").get_json()["type"] == "TextNode"
    assert client.get(f"{path}/z").status_code == 404


def test_the_first_event_is_there_at_once(client: FlaskClient, flow_id: str) -> None:
    execution = create(client, flow_id)
    path = f"{EXECUTIONS}/{execution['id']}/events"
    page = client.get(path).get_json()
    [event] = page["events"]
    assert (event["index"], event["type"]) == (-1, "execution:created")
    assert event["data"]["flowId"] == flow_id
    assert (page["nextIndex"], page["end"]) == (0, False)
    filtered = client.get(f"{path}?eventTypes=node:completed").get_json()
    assert (filtered["events"], filtered["nextIndex"]) == ([], 0)


def test_what_is_another_owners_is_not_there(
    client: FlaskClient, flow_id: str, beside: World
) -> None:
    execution_id = create(client, flow_id)["id"]
    beside.change("chaingraph_executions", {}, owner_id="ada")
    for path in ("", "/nodes", "/nodes/a", "/events"):
        assert client.get(f"{EXECUTIONS}/{execution_id}{path}").status_code == 404
    assert client.post(f"{EXECUTIONS}/{execution_id}/start").status_code == 404
    assert client.get(EXECUTIONS).get_json()["items"] == []


def test_an_unknown_id_is_a_404_everywhere(client: FlaskClient) -> None:
    for execution_id in ("EXnone", "%00", "a'b", "x" * 3000, "%ED%A0%80"):
        for path in ("", "/nodes", "/nodes/a", "/events"):
            assert client.get(f"{EXECUTIONS}/{execution_id}{path}").status_code == 404
        assert client.post(f"{EXECUTIONS}/{execution_id}/start").status_code == 404


def test_an_integration_comes_back_masked(client: FlaskClient, flow_id: str) -> None:
    execution = create(client, flow_id, integration={"token": "s3cret", "nested": {"n": [1]}})
    assert "s3cret" not in json.dumps(execution)
    assert execution["integration"] == {"token": "********", "nested": {"n": ["********"]}}


def test_a_flow_hidden_later_leaves_its_executions(client: FlaskClient, flow_id: str) -> None:
    execution_id = create(client, flow_id)["id"]
    client.delete(f"/api/v1/flows/{flow_id}")
    assert client.get(f"{EXECUTIONS}/{execution_id}").status_code == 200
    assert client.get(f"{EXECUTIONS}/{execution_id}/nodes").status_code == 200


def test_no_worker_is_listed_where_none_runs(client: FlaskClient, rows: Rows) -> None:
    assert client.get("/api/v1/workers").get_json() == {"items": [], "nextCursor": None}


def test_an_execution_of_a_flow_without_nodes_is_created(client: FlaskClient) -> None:
    flow = client.post("/api/v1/flows", json=flow_of()).get_json()
    assert create(client, flow["id"])["progress"]["total"] == 0


def test_the_catalogue_has_what_flows_use(client: FlaskClient) -> None:
    assert text("a")["type"] == client.get("/api/v1/nodes/TextNode").get_json()["id"]
    page = client.get("/api/v1/nodes?limit=100").get_json()
    types = [item["type"] for item in page["items"]]
    assert types == sorted(types)
    assert "HandlebarsTemplateNode" in types


def test_an_event_decides_what_takes_part(client: FlaskClient) -> None:
    listener = {"id": "on", "type": "EventListenerNodeV2", "values": {"eventName": "order"}}
    flow = client.post("/api/v1/flows", json=flow_of(listener, text("a"), text("b"))).get_json()
    events = [{"eventName": "order", "payload": {"n": 1}}]

    driven = create(client, flow["id"], events=events)
    assert (driven["externalEvents"], driven["progress"]["total"]) == (events, 1)
    nodes = client.get(f"{EXECUTIONS}/{driven['id']}/nodes").get_json()["items"]
    assert {node["id"]: node["status"] for node in nodes} == {
        "on": "initialized",
        "a": "idle",
        "b": "idle",
    }
    assert client.get(f"{EXECUTIONS}/{driven['id']}").get_json()["externalEvents"] == events
    plain = create(client, flow["id"])
    assert (plain["externalEvents"], plain["progress"]["total"]) == ([], 2)


def test_further_events_are_taken_and_the_first_one_drives(client: FlaskClient) -> None:
    listener = {"id": "on", "type": "EventListenerNodeV2", "values": {"eventName": "b"}}
    flow = client.post("/api/v1/flows", json=flow_of(listener)).get_json()
    events = [{"eventName": "a"}, {"eventName": "b", "payload": {"n": 1}}]

    created = create(client, flow["id"], events=events)

    assert (created["externalEvents"], created["progress"]["total"]) == (events, 0)
