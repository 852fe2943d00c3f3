from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.errors import StoreUnavailable, ValidationFailed
from tests.unit.web.fakes import fake_services
from web.event_sockets import RelayQuery
from web.factory import build_app
from web.inputs import read_query
from web.services import HealthCheck

DEFAULT_OPTIONS = {
    "execution": {
        "maxConcurrency": 50,
        "nodeTimeoutMs": 3_600_000,
        "flowTimeoutMs": 10_800_000,
        "onNodeError": "fail",
    },
    "debug": False,
    "breakpoints": [],
    "priority": 5,
}


def pointers(response: Any) -> list[str]:
    assert response.status_code == 422
    return [fault["pointer"] for fault in response.get_json()["errors"]]


def test_creating_fills_in_the_defaults(client: FlaskClient, faked: Any) -> None:
    response = client.post("/api/v1/executions", json={"flowId": "V2a"})
    assert response.status_code == 201
    assert response.headers["Location"] == "/api/v1/executions/EX0"
    [asked] = faked.executions.created
    assert (asked.flow_id, asked.flow_version, asked.autostart) == ("V2a", None, False)
    assert asked.options == DEFAULT_OPTIONS
    assert faked.executions.pointers == [""]


def test_options_are_taken_as_sent(client: FlaskClient, faked: Any) -> None:
    options = {"execution": {"maxConcurrency": 3, "onNodeError": "continue"}, "priority": 9}
    body = {"flowId": "V2a", "flowVersion": 2, "inputs": {"n": {"a": 1}}, "options": options}
    assert client.post("/api/v1/executions", json=body).status_code == 201
    [asked] = faked.executions.created
    assert asked.options["execution"]["maxConcurrency"] == 3
    assert asked.options["execution"]["nodeTimeoutMs"] == 3_600_000
    assert (asked.flow_version, asked.inputs) == (2, {"n": {"a": 1}})


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"flowId": 1}, "/flowId"),
        ({"flowId": ""}, "/flowId"),
        ({"flowVersion": 0}, "/flowVersion"),
        ({"flowVersion": "1"}, "/flowVersion"),
        ({"flowVersion": 2**40}, "/flowVersion"),
        ({"inputs": []}, "/inputs"),
        ({"inputs": {"n": 1}}, "/inputs/n"),
        ({"autostart": 1}, "/autostart"),
        ({"autoStart": True}, "/autoStart"),
        ({"options": {"priority": 10}}, "/options/priority"),
        ({"options": {"priority": 1.5}}, "/options/priority"),
        ({"options": {"execution": {"maxConcurrency": 0}}}, "/options/execution/maxConcurrency"),
        ({"options": {"execution": {"onNodeError": "?"}}}, "/options/execution/onNodeError"),
        ({"options": {"execution": {"flowTimeoutMs": -1}}}, "/options/execution/flowTimeoutMs"),
        ({"options": {"breakpoints": [1]}}, "/options/breakpoints/0"),
        ({"options": {"unknown": 1}}, "/options/unknown"),
        ({"events": [{"eventName": "e"}] * 101}, "/events"),
        ({"events": [{"eventName": ""}]}, "/events/0/eventName"),
        ({"events": [{"eventName": "e", "payload": [1]}]}, "/events/0/payload"),
        ({"events": [{}]}, "/events/0/eventName"),
        ({"integration": "x" * 70_000}, "/integration"),
    ],
)
def test_a_wrong_member_is_named(
    client: FlaskClient, faked: Any, more: dict[str, Any], pointer: str
) -> None:
    body = {"flowId": "V2a", **more}
    assert pointers(client.post("/api/v1/executions", json=body)) == [pointer]
    batch = {"items": [{"flowId": "V2a"}, body]}
    assert pointers(client.post("/api/v1/executions/batch", json=batch)) == [f"/items/1{pointer}"]
    assert faked.executions.created == []


def test_a_missing_flow_is_named(client: FlaskClient) -> None:
    assert pointers(client.post("/api/v1/executions", json={})) == ["/flowId"]


def test_a_batch_knows_the_place_of_each(client: FlaskClient, faked: Any) -> None:
    batch = {"items": [{"flowId": "a"}] * 1000}
    response = client.post("/api/v1/executions/batch", json=batch)
    assert response.status_code == 201
    assert len(response.get_json()["items"]) == 1000
    assert faked.executions.pointers[:2] == ["/items/0", "/items/1"]


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_1_to_1000_items(client: FlaskClient, count: int) -> None:
    batch = {"items": [{"flowId": "a"}] * count}
    assert pointers(client.post("/api/v1/executions/batch", json=batch)) == ["/items"]


MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "EX1"


@pytest.mark.parametrize(
    ("path", "place", "asked_as"),
    [
        ("executions", MOMENT, "before"),
        ("flows/V2a/executions", MOMENT, "before"),
        ("executions/EX0/tree", (3, "EX1"), "after"),
        ("executions/EX0/recoveries", 50, "offset"),
    ],
)
def test_a_page_leads_to_the_next(
    client: FlaskClient, faked: Any, path: str, place: Any, asked_as: str
) -> None:
    faked.listings.after = place
    cursor = client.get(f"/api/v1/{path}?limit=2").get_json()["nextCursor"]
    assert faked.listings.asked["limit"] == 2
    assert not faked.listings.asked[asked_as]
    faked.listings.after = None
    last = client.get(f"/api/v1/{path}?cursor={cursor}").get_json()
    assert faked.listings.asked[asked_as] == place
    assert last["nextCursor"] is None


def test_lists_are_asked_for_with_their_filters(client: FlaskClient, faked: Any) -> None:
    client.get("/api/v1/executions?status=running&flowId=V2a&rootExecutionId=EX1")
    asked = faked.listings.asked
    assert (asked["status"], asked["flow_id"]) == ("running", "V2a")
    assert asked["root_execution_id"] == "EX1"
    client.get("/api/v1/flows/V2a/executions?after=2026-01-02T05:04:05.678901%2B02:00")
    assert faked.listings.asked["created_before"] == MOMENT[0]


@pytest.mark.parametrize(
    "time",
    ["", "5", "1e400", "now", "2026-01-02", "2026-01-02T03:04:05", "0001-01-01T00:00:00%2B14:00"],
)
def test_a_time_without_a_zone_is_none(client: FlaskClient, time: str) -> None:
    assert pointers(client.get(f"/api/v1/flows/V2a/executions?after={time}")) == ["/after"]


def test_nodes_are_paged_by_position(client: FlaskClient, faked: Any) -> None:
    faked.executions.listed = [{"id": str(index)} for index in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        body = client.get(f"/api/v1/executions/EX1/nodes?limit=2{cursor}").get_json()
        seen += [item["id"] for item in body["items"]]
        if body["nextCursor"] is None:
            break
        cursor = f"&cursor={body['nextCursor']}"
    assert seen == ["0", "1", "2", "3", "4"]


def test_a_node_id_may_hold_a_slash(client: FlaskClient) -> None:
    assert client.get("/api/v1/executions/EX1/nodes/a%2Fb").get_json() == {"id": "a/b"}


def test_events_are_asked_for_by_index_and_type(client: FlaskClient, faked: Any) -> None:
    path = "/api/v1/executions/EX1/events"
    page = {"events": [], "nextIndex": -1, "end": False}
    assert client.get(path).get_json() == page
    # It is for streams.
    for last in ("7", "x"):
        assert client.get(path, headers={"Last-Event-ID": last}).get_json() == page
    assert faked.executions.asked == {"from_index": -1, "limit": 100, "types": None}
    client.get(f"{path}?fromIndex=7&limit=1000&eventTypes=node:completed,node:failed")
    assert faked.executions.asked["types"] == {"node:completed", "node:failed"}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("fromIndex=-2", "/fromIndex"),
        ("fromIndex=99999999999", "/fromIndex"),
        ("limit=1001", "/limit"),
        ("eventTypes=node:done", "/eventTypes"),
        ("eventTypes=", "/eventTypes"),
        ("eventTypes={x}", "/eventTypes"),
    ],
)
def test_events_out_of_bounds_are_refused(client: FlaskClient, query: str, pointer: str) -> None:
    assert pointers(client.get(f"/api/v1/executions/EX1/events?{query}")) == [pointer]


#: What Python's `int` takes, and a query doesn't.
NO_NUMBERS = ("+5", "%2B5", "%205", "5%20", "5.0", "5_0", "1e1", "0x5", "٥", "", "--5")


def refusal_of(name: str) -> list[dict[str, str]]:
    return [{"pointer": f"/{name}", "message": "must be a whole number"}]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("flows", "limit"),
        ("flows/V2a", "version"),
        ("flows/V2a/executions", "limit"),
        ("executions", "limit"),
        ("executions/EX1/tree", "limit"),
        ("executions/EX1/nodes", "limit"),
        ("executions/EX1/recoveries", "limit"),
        ("executions/EX1/events", "limit"),
        ("executions/EX1/events", "fromIndex"),
        ("nodes", "limit"),
        ("workers", "limit"),
        ("secrets", "limit"),
    ],
)
def test_a_number_in_a_query_is_written_in_digits(
    client: FlaskClient, path: str, name: str
) -> None:
    for written in NO_NUMBERS:
        refused = client.get(f"/api/v1/{path}?{name}={written}")
        assert (refused.status_code, refused.get_json()["errors"]) == (422, refusal_of(name))


@pytest.mark.parametrize("name", ["fromIndex", "batchSize", "batchTimeoutMs"])
def test_so_is_what_a_socket_is_asked_for_with(app: Flask, name: str) -> None:
    for written in NO_NUMBERS:
        with app.test_request_context(f"/?{name}={written}"), pytest.raises(ValidationFailed) as no:
            read_query(RelayQuery)
        assert [asdict(each) for each in no.value.faults] == refusal_of(name)


def test_the_catalogue_describes_ports(client: FlaskClient) -> None:
    [listed] = client.get("/api/v1/nodes").get_json()["items"]
    shown = client.get("/api/v1/nodes/TextNode").get_json()
    assert shown == listed
    assert (shown["id"], shown["category"]) == ("TextNode", "basic-values")
    assert shown["ports"] == [
        {
            "id": "text",
            "direction": "passthrough",
            "type": "string",
            "required": False,
            "defaultValue": "",
        }
    ]
    assert len(shown["systemPorts"]) == 4
    refused = client.get("/api/v1/nodes/Unknown")
    assert (refused.status_code, refused.json["detail"]) == (404, "There is no node type 'Unknown'")


def test_workers_are_listed(client: FlaskClient, faked: Any) -> None:
    faked.workers.alive = [{"workerId": "w"}]
    assert client.get("/api/v1/workers").get_json() == {
        "items": [{"workerId": "w"}],
        "nextCursor": None,
    }


def test_a_flow_has_a_tag_that_guards_its_replacement(client: FlaskClient) -> None:
    created = client.post("/api/v1/flows", json={"id": "a"})
    assert (created.status_code, created.headers["ETag"]) == (201, '"1"')
    assert created.headers["Location"] == "/api/v1/flows/a"
    replace = "/api/v1/flows/a"
    assert client.put(replace, json={}, headers={"If-Match": '"1"'}).status_code == 200
    response = client.put(replace, json={}, headers={"If-Match": '"1"'})
    assert response.status_code == 412
    assert response.get_json()["code"] == "PRECONDITION_FAILED"
    assert client.put(replace, json={}, headers={"If-Match": "*"}).status_code == 200
    assert client.put(replace, json={}).headers["ETag"] == '"4"'


@pytest.mark.parametrize("tag", ['"x"', '""', '"99999999999999999999"', 'W/"1"', '"²"', "", "1"])
def test_a_tag_that_was_never_given_is_a_412(client: FlaskClient, tag: str) -> None:
    client.post("/api/v1/flows", json={"id": "a"})
    client.put("/api/v1/flows/a", json={})
    response = client.put("/api/v1/flows/a", json={}, headers={"If-Match": tag})
    assert response.status_code == 412


def test_a_flow_that_is_known_is_not_sent_again(client: FlaskClient) -> None:
    client.post("/api/v1/flows", json={"id": "a"})
    tag = client.get("/api/v1/flows/a").headers["ETag"]
    response = client.get("/api/v1/flows/a", headers={"If-None-Match": tag})
    assert (response.status_code, response.data) == (304, b"")


def test_the_document_alone_can_be_had(client: FlaskClient) -> None:
    client.post("/api/v1/flows", json={"id": "a"})
    document = client.get("/api/v1/flows/a?format=chaingraph").get_json()
    assert document == {"id": "a", "metadata": {"name": "a"}, "nodes": [], "edges": []}
    assert client.get("/api/v1/flows/a?format=yaml").status_code == 422


def test_hiding_answers_with_nothing(client: FlaskClient) -> None:
    client.post("/api/v1/flows", json={"id": "a"})
    response = client.delete("/api/v1/flows/a")
    assert (response.status_code, response.data) == (204, b"")
    assert client.delete("/api/v1/flows/b").status_code == 404


def _lost() -> list[str | None]:
    raise StoreUnavailable


@pytest.mark.parametrize(
    ("check", "status", "body"),
    [
        (HealthCheck("r1", lambda: ["r1"], lambda: True), 200, ("ok", "up", "up", "current")),
        (HealthCheck("r1", lambda: ["r1"], lambda: False), 200, ("ok", "up", "down", "current")),
        (
            HealthCheck("r2", lambda: ["r1"], lambda: True),
            503,
            ("unavailable", "up", "up", "outdated"),
        ),
        (
            HealthCheck("r1", lambda: [None], lambda: True),
            503,
            ("unavailable", "up", "up", "outdated"),
        ),
        (HealthCheck("r1", _lost, lambda: True), 503, ("unavailable", "down", "up", "unknown")),
    ],
)
def test_readiness_says_what_is_missing(
    check: HealthCheck, status: int, body: tuple[str, ...]
) -> None:
    client = build_app(fake_services(health=check), max_body_bytes=1000).test_client()
    response = client.get("/health/ready")
    assert response.status_code == status
    shown = response.get_json()
    assert (shown["status"], shown["postgres"], shown["redis"], shown["schema"]) == body
    assert client.get("/health/live").get_json() == {"status": "ok"}
