from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from tests.integration.web.conftest import GREETING, Count, flow_of, text
from tests.world import World

FLOWS = "/api/v1/flows"


def named(name: str, **more: Any) -> dict[str, Any]:
    return {**GREETING, "metadata": {"name": name}, **more}


def test_a_flow_is_stored_as_it_came_and_read_back(client: FlaskClient) -> None:
    document = named("Greeting", id="V2greeting")
    stored = client.post(FLOWS, json=document)
    assert stored.status_code == 201
    assert stored.headers["Location"] == f"{FLOWS}/V2greeting"
    shown = client.get(stored.headers["Location"])
    assert shown.get_json()["document"] == document
    assert client.get(f"{FLOWS}/V2greeting?format=chaingraph").get_json() == document
    flow = {**stored.get_json()}
    assert flow.pop("warnings") == []
    assert flow == shown.get_json()
    assert (flow["id"], flow["flowId"], flow["version"]) == ("V2greeting", "V2greeting", 1)
    assert (flow["ownerId"], flow["name"]) == ("local", "Greeting")
    assert flow["createdAt"].endswith("Z")


def test_a_flow_without_an_id_is_given_one(client: FlaskClient) -> None:
    flow = client.post(FLOWS, json=GREETING).get_json()
    assert len(flow["id"]) == 26
    assert flow["id"].startswith("V2")
    assert flow["document"]["id"] == flow["id"]


def test_every_save_is_a_version_that_stays(client: FlaskClient) -> None:
    client.post(FLOWS, json=named("one", id="V2a"))
    assert client.post(FLOWS, json=named("two", id="V2a")).get_json()["version"] == 2
    assert client.put(f"{FLOWS}/V2a", json=named("three")).get_json()["version"] == 3
    names = [client.get(f"{FLOWS}/V2a?version={v}").get_json()["name"] for v in (1, 2, 3)]
    assert names == ["one", "two", "three"]
    assert client.get(f"{FLOWS}/V2a").get_json()["name"] == "three"
    refused = client.get(f"{FLOWS}/V2a?version=4")
    assert (refused.status_code, refused.json["detail"]) == (
        404,
        "There is no flow 'V2a' with a version 4",
    )


def test_a_replacement_must_match_the_version_that_was_seen(client: FlaskClient) -> None:
    tag = client.post(FLOWS, json=named("one", id="V2a")).headers["ETag"]
    assert client.put(f"{FLOWS}/V2a", json=GREETING, headers={"If-Match": tag}).status_code == 200
    late = client.put(f"{FLOWS}/V2a", json=named("lost"), headers={"If-Match": tag})
    assert late.status_code == 412
    assert client.get(f"{FLOWS}/V2a").get_json()["version"] == 2


def test_a_replacement_of_nothing_is_a_404(client: FlaskClient) -> None:
    assert client.put(f"{FLOWS}/V2a", json=GREETING).status_code == 404
    refused = client.put(f"{FLOWS}/V2a", json={})
    assert (refused.status_code, refused.json["detail"]) == (404, "There is no flow 'V2a'")
    assert client.put(f"{FLOWS}/V2a", json=GREETING, headers={"If-Match": "*"}).status_code == 404


def test_a_replacement_under_another_id_is_refused(client: FlaskClient) -> None:
    client.post(FLOWS, json=named("one", id="V2a"))
    for flow_id in ("V2b", 5, {"a": 1}, []):
        response = client.put(f"{FLOWS}/V2a", json=named("two", id=flow_id))
        assert response.status_code == 422
        assert response.get_json()["errors"][0]["pointer"] == "/id"


def test_of_many_replacements_of_one_version_one_is_stored(app: Flask, beside: World) -> None:
    app.test_client().post(FLOWS, json=named("one", id="V2a"))

    def replace(number: int) -> int:
        headers = {"If-Match": '"1"'}
        body = named(f"by {number}")
        return app.test_client().put(f"{FLOWS}/V2a", json=body, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(replace, range(8)))
    assert statuses == [200, *[412] * 7]
    stored = beside.rows("chaingraph_flow_versions")
    assert sorted(row.version for row in stored) == [1, 2]


def test_saves_at_once_are_numbered_without_a_gap(app: Flask, beside: World) -> None:
    def save(number: int) -> int:
        body = named(f"by {number}", id="V2a")
        version: int = app.test_client().post(FLOWS, json=body).get_json()["version"]
        return version

    with ThreadPoolExecutor(8) as pool:
        versions = sorted(pool.map(save, range(16)))
    assert versions == list(range(1, 17))
    assert [row.version for row in beside.rows("chaingraph_flows")] == [16]


def test_another_owners_flow_is_not_there(client: FlaskClient, beside: World) -> None:
    client.post(FLOWS, json=named("x", id="V2a"))
    beside.change("chaingraph_flows", {}, owner_id="ada")
    assert client.post(FLOWS, json=named("mine", id="V2a")).status_code == 409
    assert client.put(f"{FLOWS}/V2a", json=GREETING).status_code == 404
    assert client.get(f"{FLOWS}/V2a").status_code == 404
    assert client.delete(f"{FLOWS}/V2a").status_code == 404
    assert client.get(FLOWS).get_json()["items"] == []
    [row] = beside.rows("chaingraph_flows")
    assert (row.owner_id, row.version, row.name) == ("ada", 1, "x")


def test_hiding_takes_a_flow_from_view_and_saving_brings_it_back(
    client: FlaskClient, count: Count
) -> None:
    client.post(FLOWS, json=named("one", id="V2a"))
    assert client.delete(f"{FLOWS}/V2a").status_code == 204
    assert client.delete(f"{FLOWS}/V2a").status_code == 404
    assert client.get(f"{FLOWS}/V2a").status_code == 404
    assert client.put(f"{FLOWS}/V2a", json=GREETING).status_code == 404
    assert client.get(FLOWS).get_json()["items"] == []
    assert count("chaingraph_flow_versions") == 1
    assert client.post(FLOWS, json=named("two", id="V2a")).get_json()["version"] == 2
    assert client.get(f"{FLOWS}/V2a?version=1").get_json()["name"] == "one"


def test_the_list_is_newest_first_and_paged_without_a_gap(client: FlaskClient) -> None:
    ids = [client.post(FLOWS, json=named(str(n))).get_json()["id"] for n in range(7)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"{FLOWS}?limit=3{cursor}").get_json()
        seen += [item["id"] for item in page["items"]]
        assert all("document" not in item for item in page["items"])
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen[::-1] == ids


def test_checking_stores_nothing(client: FlaskClient, count: Count) -> None:
    assert client.post(f"{FLOWS}/validate", json=GREETING).get_json()["valid"] is True
    bad = flow_of({"id": "a", "type": "NoSuchNode"})
    answer = client.post(f"{FLOWS}/validate", json=bad)
    assert answer.status_code == 200
    assert answer.get_json()["valid"] is False
    assert answer.get_json()["errors"][0]["pointer"].startswith("/nodes/0")
    assert count("chaingraph_flows") == 0


def test_an_odd_flow_is_stored_with_a_warning(client: FlaskClient) -> None:
    alone = flow_of(text("a"), text("b"), text("c"), edges=GREETING["edges"])
    flow = client.post(FLOWS, json=alone).get_json()
    assert [warning["pointer"] for warning in flow["warnings"]] == ["/nodes/2"]


CYCLE = [
    {"source": "a.text", "target": "b.text"},
    {"source": "b.text", "target": "a.text"},
]


REFUSED: list[tuple[dict[str, Any], str | None]] = [
    (flow_of({"id": "a", "type": "NoSuchNode"}), "/nodes/0/type"),
    (flow_of(text("a", 5)), "/nodes/0/values/text"),
    (flow_of(text("a"), text("b"), edges=CYCLE), None),
    (flow_of(text("a"), edges=[{"source": "a.text", "target": "z.text"}]), "/edges/0/target"),
    (flow_of(text("a"), text("a")), "/nodes/1/id"),
    (flow_of(text("a", "x\0y")), "/nodes/0/values/text"),
    (flow_of(text("a"), id="a\0b"), "/id"),
    (flow_of(text("a"), id="a/b"), "/id"),
    (flow_of(text("a"), id=""), "/id"),
    (flow_of(text("a"), id=5), "/id"),
    (flow_of(text("a"), id="x" * 300), "/id"),
    (flow_of(text("a"), id={"b": 1}), "/id"),
    ({}, None),
    ({"metadata": 5, "nodes": 5, "edges": 5}, None),
    ({"metadata": {}, "nodes": [None], "edges": [[]]}, None),
    ({"metadata": {"name": None}, "nodes": [], "edges": []}, "/metadata/name"),
]


def test_a_flow_that_cannot_run_is_refused_at_its_place(client: FlaskClient, count: Count) -> None:
    for body, pointer in REFUSED:
        response = client.post(FLOWS, json=body)
        assert response.status_code == 422, body
        problem = response.get_json()
        assert problem["code"] == "VALIDATION_ERROR"
        assert problem["errors"]
        if pointer is not None:
            assert pointer in [fault["pointer"] for fault in problem["errors"]], body
    assert count("chaingraph_flows") == 0


def everything(beside: World) -> list[Any]:
    return [beside.rows(table) for table in ("chaingraph_flows", "chaingraph_flow_versions")]


def test_a_bad_replacement_changes_nothing(client: FlaskClient, beside: World) -> None:
    client.post(FLOWS, json=named("one", id="V2a"))
    before = everything(beside)
    for body in (b"{", b"[" * 900, b'{"nodes": %s}' % (b"1" * 400), b"[]", b"{}"):
        response = client.put(f"{FLOWS}/V2a", data=body, content_type="application/json")
        assert response.status_code in {400, 422}
    too_large = b'{"a": "' + b"x" * (6 * 1024 * 1024) + b'"}'
    response = client.put(f"{FLOWS}/V2a", data=too_large, content_type="application/json")
    assert response.status_code == 413
    after = everything(beside)
    assert [tuple(map(str, row)) for row in after] == [tuple(map(str, row)) for row in before]


def test_ten_thousand_nodes_are_taken(client: FlaskClient) -> None:
    nodes = [text(f"n{n}") for n in range(10_000)]
    edges = [{"source": f"n{n}.text", "target": f"n{n + 1}.text"} for n in range(9_999)]
    response = client.post(FLOWS, json=flow_of(*nodes, edges=edges))
    assert response.status_code == 201


def test_an_id_of_ones_own_can_be_read_back(client: FlaskClient) -> None:
    for flow_id in ("V2 grüß", "a.b", "a?b#c", "~a%2Fb", "x" * 255):
        stored = client.post(FLOWS, json=named("one", id=flow_id))
        assert stored.status_code == 201
        assert client.get(stored.headers["Location"]).get_json()["id"] == flow_id
