from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.integration.web.conftest import GREETING
from tests.world import World

EXECUTIONS = "/api/v1/executions"
TABLE = "chaingraph_executions"


def create(client: FlaskClient, flow_id: str) -> str:
    execution_id: str = client.post(EXECUTIONS, json={"flowId": flow_id}).get_json()["id"]
    return execution_id


def walk(client: FlaskClient, path: str) -> list[dict[str, Any]]:
    """All items of a list, page after page."""
    seen: list[dict[str, Any]] = []
    page: dict[str, Any] = {"nextCursor": ""}
    while page["nextCursor"] is not None:
        cursor = page["nextCursor"] and f"&cursor={page['nextCursor']}"
        page = client.get(f"{path}{cursor}").get_json()
        assert page["items"], "no page but the first is empty"
        seen += page["items"]
    return seen


@pytest.fixture
def family(client: FlaskClient, flow_id: str, beside: World) -> list[str]:
    """A root, two children, and a child of the second: as ids, by level."""
    root, left, right, below = sorted(create(client, flow_id) for _ in range(4))
    for parent, depth, child in ((root, 1, left), (root, 1, right), (right, 2, below)):
        ancestors = {"parent_execution_id": parent, "root_execution_id": root}
        beside.change(TABLE, {"id": child}, **ancestors, execution_depth=depth, child_state="open")
    return [root, left, right, below]


def test_the_list_is_newest_first_and_paged_without_a_gap(
    client: FlaskClient, flow_id: str
) -> None:
    batch = {"items": [{"flowId": flow_id}] * 5}
    answer = client.post(f"{EXECUTIONS}/batch", json=batch).get_json()
    created = [item["id"] for item in answer["items"]]
    # Several of a millisecond: what orders them is finer than what is shown.
    created += [create(client, flow_id) for _ in range(20)]
    shown = [item["id"] for item in walk(client, f"{EXECUTIONS}?limit=3&flowId={flow_id}")]
    assert shown == created[::-1]
    roots = walk(client, f"/api/v1/flows/{flow_id}/executions?limit=4")
    assert [item["execution"]["id"] for item in roots] == shown


def test_the_list_is_filtered(client: FlaskClient, family: list[str], flow_id: str) -> None:
    root, left, *_ = family
    for query, count in (
        ("status=created", 4),
        ("status=running", 0),
        (f"flowId={flow_id}", 4),
        ("flowId=V2none", 0),
        (f"rootExecutionId={root}", 4),
        (f"rootExecutionId={root}&status=paused", 0),
        (f"rootExecutionId={left}", 0),
        ("rootExecutionId=EXnone", 0),
    ):
        assert len(client.get(f"{EXECUTIONS}?{query}").get_json()["items"]) == count, query


def test_roots_tell_the_size_of_their_trees(
    client: FlaskClient, family: list[str], flow_id: str
) -> None:
    alone = create(client, flow_id)
    client.post("/api/v1/flows", json={**GREETING, "id": "V2other"})
    create(client, "V2other")
    shown = walk(client, f"/api/v1/flows/{flow_id}/executions?limit=1")
    assert [(item["execution"]["id"], item["levels"], item["totalNested"]) for item in shown] == [
        (alone, 1, 1),
        (family[0], 3, 4),
    ]


def test_roots_are_bounded_by_a_time(client: FlaskClient, flow_id: str, beside: World) -> None:
    ids = [create(client, flow_id) for _ in range(3)]
    at = beside.row(ids[1]).created_at
    path = f"/api/v1/flows/{flow_id}/executions?after={quote(at.isoformat())}"
    assert [item["execution"]["id"] for item in walk(client, path)] == ids[:1]


def test_a_hidden_flow_has_its_executions_and_anothers_is_refused(
    client: FlaskClient, flow_id: str, beside: World
) -> None:
    execution_id = create(client, flow_id)
    path = f"/api/v1/flows/{flow_id}/executions"
    client.delete(f"/api/v1/flows/{flow_id}")
    assert client.get(path).get_json()["items"][0]["execution"]["id"] == execution_id
    beside.change("chaingraph_flows", {}, owner_id="ada")
    assert client.get(path).get_json()["detail"] == "User does not own this flow"
    assert client.get("/api/v1/flows/V2none/executions").status_code == 404


def test_a_tree_is_shown_by_level_from_any_of_its_members(
    client: FlaskClient, family: list[str]
) -> None:
    root, left, right, below = family
    whole = walk(client, f"{EXECUTIONS}/{root}/tree?limit=1")
    assert [(item["id"], item["parentId"], item["level"]) for item in whole] == [
        (root, None, 0),
        (left, root, 1),
        (right, root, 1),
        (below, right, 2),
    ]
    assert all(item["execution"]["id"] == item["id"] for item in whole)
    part = client.get(f"{EXECUTIONS}/{right}/tree").get_json()
    assert [(item["id"], item["level"]) for item in part["items"]] == [(right, 0), (below, 1)]
    assert part["nextCursor"] is None


def test_recoveries_are_the_audit_trail(client: FlaskClient, flow_id: str, beside: World) -> None:
    execution_id = create(client, flow_id)
    path = f"{EXECUTIONS}/{execution_id}/recoveries"
    assert client.get(path).get_json() == {"items": [], "nextCursor": None}
    for worker in ("w1", "w2", "w3"):
        beside.note_recovery(execution_id, worker)
    shown = walk(client, f"{path}?limit=2")
    assert [item["previousWorkerId"] for item in shown] == ["w1", "w2", "w3"]
    assert {item["recoveryReason"] for item in shown} == {"worker_died"}
    assert all(item["recoveredAt"].endswith("Z") for item in shown)


def test_what_is_another_owners_is_in_no_list(
    client: FlaskClient, family: list[str], flow_id: str, beside: World
) -> None:
    beside.change(TABLE, {}, owner_id="ada")
    assert client.get(EXECUTIONS).get_json()["items"] == []
    assert client.get(f"/api/v1/flows/{flow_id}/executions").get_json()["items"] == []
    for path in ("tree", "recoveries"):
        for execution_id in (family[0], "EXnone", "%00", "a'b", "x" * 3000, "%ED%A0%80"):
            assert client.get(f"{EXECUTIONS}/{execution_id}/{path}").status_code == 404
