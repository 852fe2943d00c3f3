from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from app.store.database import Database
from app.store.records import Fence
from app.store.runs import PgRunStore
from tests.integration.store.boundaries import DONE
from tests.integration.web.conftest import Rows

EXECUTIONS = "/api/v1/executions"


def started(client: FlaskClient, flow_id: str) -> str:
    body = {"flowId": flow_id, "autostart": True}
    execution_id: str = client.post(EXECUTIONS, json=body).get_json()["id"]
    return execution_id


def test_an_owner_is_given_up_for_another(
    client: FlaskClient, flow_id: str, database_url: str
) -> None:
    execution_id = started(client, flow_id)
    database = Database(database_url, pool_size=1)
    store = PgRunStore(database)
    claimed = store.claim("w1", "token", 10_000, execution_id)
    assert claimed is not None

    answer = client.post(f"{EXECUTIONS}/{execution_id}/recover")

    assert answer.status_code == 202
    shown: dict[str, Any] = answer.get_json()
    assert (shown["processingWorkerId"], shown["waiting"]["for"]) == (None, "worker")
    assert (shown["failureCount"], shown["lastFailureReason"]) == (0, None)
    assert not store.holds(claimed.fence)
    [told] = client.get(f"{EXECUTIONS}/{execution_id}/recoveries").get_json()["items"]
    assert (told["recoveryReason"], told["previousWorkerId"]) == ("requested", "w1")
    assert told["recoveredByWorker"] == "api:local"
    events = client.get(f"{EXECUTIONS}/{execution_id}/events").get_json()["events"]
    assert [event["type"] for event in events] == ["execution:created", "execution:recovered"]
    assert events[1]["data"]["reason"] == "requested"

    again = store.claim("w2", "other", 10_000, execution_id)
    assert again is not None
    store.write(Fence(execution_id, again.fence.epoch), again.writes, DONE)
    store.close()
    late = client.post(f"{EXECUTIONS}/{execution_id}/recover")
    assert late.status_code == 409
    assert late.get_json()["detail"] == "Cannot recover execution in status completed"


def test_recover_takes_nothing_and_finds_only_ones_own(
    client: FlaskClient, flow_id: str, rows: Rows
) -> None:
    execution_id = started(client, flow_id)
    path = f"{EXECUTIONS}/{execution_id}/recover"
    assert client.post(path, json={"force": True}).status_code == 422
    assert client.post(f"{path}?force=1").status_code == 422
    assert client.post(path, data=b"[]", content_type="application/json").status_code == 422
    for unknown in ("EXnone", "%00", "a'b", "x" * 3000, "%ED%A0%80"):
        assert client.post(f"{EXECUTIONS}/{unknown}/recover").status_code == 404
    rows("UPDATE chaingraph_executions SET owner_id = 'ada'")
    assert client.post(path).status_code == 404
    assert rows("SELECT count(*) FROM chaingraph_execution_recovery") == [(0,)]
