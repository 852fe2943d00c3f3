"""`POST /executions/{id}/signals/{name}`, in both modes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.config import load_settings
from app.store.database import Database
from app.store.records import Boundary, CheckpointRow, Claimed, Written
from app.store.runs import PgRunStore
from tests.integration.store.boundaries import DONE
from tests.integration.web.conftest import Rows, flow_of
from tests.waiting import wait_until
from tests.world import World
from web import create_app
from web.composition import end

EXECUTIONS = "/api/v1/executions"
Send = Callable[..., Any]


def waiter(node_id: str, name: str = "go", **values: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "WaitForSignalNode", "values": {"name": name, **values}}


@pytest.fixture
def execution_id(client: FlaskClient) -> str:
    """An execution whose two nodes are to wait for one name; nobody runs it yet."""
    flow = client.post("/api/v1/flows", json=flow_of(waiter("first"), waiter("second")))
    body = {"flowId": flow.get_json()["id"]}
    execution_id: str = client.post(EXECUTIONS, json=body).get_json()["id"]
    return execution_id


@pytest.fixture
def send(client: FlaskClient, execution_id: str) -> Send:
    """Send a signal."""

    def post(name: str = "go", **more: Any) -> Any:
        return client.post(f"{EXECUTIONS}/{execution_id}/signals/{name}", **more)

    return post


@pytest.fixture
def store(database_url: str) -> Iterator[PgRunStore]:
    """A worker's store."""
    database = Database(database_url, pool_size=1)
    store = PgRunStore(database)
    yield store
    store.close()
    database.engine.dispose()


@pytest.fixture
def owned(client: FlaskClient, store: PgRunStore, execution_id: str) -> Claimed:
    """Its first node waits, and a worker has it in hand."""
    client.post(f"{EXECUTIONS}/{execution_id}/start")
    claimed = store.claim("w1", "token", 10_000, execution_id)
    assert claimed is not None
    outputs = '{"$signal":"go","$place":0}'
    waits = CheckpointRow("first", 0, "waiting", 1, 1, outputs, "[]", None)
    begun = Boundary([("flow:started", "{}")], [waits])
    assert isinstance(store.write(claimed.fence, claimed.writes, begun), Written)
    return claimed


def payloads(beside: World) -> list[Any]:
    return [row.payload for row in sorted(beside.rows("chaingraph_signals"), key=lambda r: r.id)]


@pytest.mark.parametrize("payload", [{"by": "Ada"}, [1], "text", 0, 1.5, True, None, {}])
def test_any_json_is_a_payload(beside: World, send: Send, payload: Any) -> None:
    answer = send(data=json.dumps(payload), content_type="application/json")

    assert (answer.status_code, answer.get_json()) == (202, {"delivered": None})
    assert payloads(beside) == [payload]


def test_no_body_counts_as_an_empty_object(beside: World, send: Send) -> None:
    assert send().status_code == 202
    assert payloads(beside) == [{}]


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 128])
def test_a_name_is_made_of_few_characters(send: Send, name: str) -> None:
    assert send(name).status_code == 202


@pytest.mark.parametrize("name", ["x" * 129, "two%20words", "%C3%A9", "a%2Bb", "a%0A"])
def test_any_other_is_refused(beside: World, send: Send, name: str) -> None:
    answer = send(name)

    assert answer.status_code == 422
    [fault] = answer.get_json()["errors"]
    assert fault["pointer"] == "/name"
    assert payloads(beside) == []


def test_what_is_no_payload_is_refused(beside: World, send: Send) -> None:
    large = send(json="x" * (1024 * 1024))
    assert (large.status_code, large.get_json()["code"]) == (422, "VALIDATION_ERROR")
    assert "bytes of JSON" in large.get_json()["errors"][0]["message"]
    assert send(data="{", content_type="application/json").status_code == 400
    assert send(data=b"1", content_type="text/plain").status_code == 415
    assert send(json={"a": "\0"}).status_code == 422
    assert send(query_string={"x": "1"}).status_code == 422
    assert payloads(beside) == []


def test_what_does_not_exist_is_not_found(client: FlaskClient) -> None:
    for execution in ("EXnone", "%00", "x" * 300):
        assert client.post(f"{EXECUTIONS}/{execution}/signals/go").status_code == 404


def test_the_node_that_takes_it_is_told(send: Send, owned: Claimed) -> None:
    assert send("other").get_json() == {"delivered": None}
    assert send().get_json() == {"delivered": "first"}
    assert send().get_json() == {"delivered": None}


def test_what_is_over_takes_none(store: PgRunStore, send: Send, owned: Claimed) -> None:
    store.write(owned.fence, owned.writes + 1, DONE)

    answer = send()

    assert (answer.status_code, answer.get_json()["code"]) == (409, "CONFLICT")
    assert answer.get_json()["detail"] == "Cannot signal execution in status completed"


def test_past_a_thousand_that_are_kept_it_is_too_many(send: Send, rows: Rows) -> None:
    assert send().status_code == 202
    rows(
        "INSERT INTO chaingraph_signals (execution_id, name, payload, sent_at)"
        " SELECT execution_id, 'go', '1', sent_at FROM chaingraph_signals,"
        " generate_series(2, 1000)"
    )

    answer = send()

    assert (answer.status_code, answer.get_json()["code"]) == (429, "TOO_MANY_REQUESTS")
    assert answer.headers["Retry-After"] == "1"


def test_a_key_sends_once(beside: World, send: Send, owned: Claimed) -> None:
    key = {"Idempotency-Key": "k1"}

    first = send(json={"a": 1}, headers=key)
    again = send(json={"a": 1}, headers=key)
    other = send(json={"a": 2}, headers=key)

    assert (first.get_json(), again.get_json()) == ({"delivered": "first"},) * 2
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.get_json()["code"]) == (422, "VALIDATION_ERROR")
    assert payloads(beside) == [{"a": 1}]
    assert send("other", json={"a": 1}, headers=key).get_json() == {"delivered": None}


def test_a_step_is_taken_where_a_signal_came(
    client: FlaskClient, store: PgRunStore, send: Send, owned: Claimed
) -> None:
    id_ = owned.fence.execution_id
    outputs = '{"$signal":"other","$place":1}'
    waits = CheckpointRow("second", 1, "waiting", 1, 1, outputs, "[]", None)
    assert isinstance(store.write(owned.fence, owned.writes + 1, Boundary((), [waits])), Written)
    store.park(owned.fence, owned.writes + 2, owned.wake, "{}", None)
    assert client.post(f"{EXECUTIONS}/{id_}/pause").get_json()["status"] == "paused"
    send("unknown")

    refused = client.post(f"{EXECUTIONS}/{id_}/step")
    assert refused.get_json()["detail"] == "Cannot step execution: no node is ready"

    assert send("other").get_json() == {"delivered": "second"}
    assert client.post(f"{EXECUTIONS}/{id_}/step").get_json()["requested"] == "step"


def test_a_flow_waits_for_its_signals(tmp_path: Path) -> None:
    """In local mode, where the process of the API runs it, too."""
    app = create_app(load_settings({"EXECUTION_MODE": "local", "DATA_DIR": str(tmp_path)}))
    client = app.test_client()
    document = flow_of(waiter("first"), waiter("second"), waiter("late", timeoutMs=150))
    flow_id = client.post("/api/v1/flows", json=document).get_json()["id"]
    body = {"flowId": flow_id, "autostart": True}
    path = f"{EXECUTIONS}/{client.post(EXECUTIONS, json=body).get_json()['id']}"

    def waits_for() -> tuple[str | None, str | None]:
        waiting = client.get(path).get_json()["waiting"] or {"for": None, "detail": {}}
        return waiting["for"], waiting["detail"].get("nodeId")

    try:
        wait_until(lambda: waits_for() == ("signal", "first"), "what has a timeout is over")
        sent = [client.post(f"{path}/signals/go", json=number) for number in (1, 2)]
        wait_until(lambda: client.get(path).get_json()["status"] == "completed", "it is completed")
        outputs = client.get(path).get_json()["outputs"]
    finally:
        end(app)

    assert [each.get_json()["delivered"] for each in sent] == ["first", "second"]
    assert outputs == {
        "first": {"payload": 1, "timedOut": False},
        "second": {"payload": 2, "timedOut": False},
        "late": {"payload": None, "timedOut": True},
    }
