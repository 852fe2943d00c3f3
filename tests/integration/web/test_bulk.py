from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.errors import StoreUnavailable
from app.store.bulk import BulkStore
from app.store.database import Database
from app.store.runs import PgRunStore
from app.store.sweeps import PgSweepStore
from tests.integration.store.boundaries import boundary
from tests.integration.web.conftest import GREETING, Rows

EXECUTIONS = "/api/v1/executions"


def create(client: FlaskClient, flow_id: str, count: int, **more: Any) -> list[str]:
    batch = {"items": [{"flowId": flow_id, **more}] * count}
    items = client.post(f"{EXECUTIONS}/batch", json=batch).get_json()["items"]
    return [item["id"] for item in items]


def command(client: FlaskClient, action: str, **wanted: Any) -> dict[str, Any]:
    answer = client.post(f"{EXECUTIONS}/bulk", json={"action": action, "filter": wanted})
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.get_json()
    return told


def test_many_are_started_at_once(client: FlaskClient, flow_id: str) -> None:
    ids = create(client, flow_id, 30)
    told = command(client, "start", flowId=flow_id, status=["created"])
    assert told == {"matched": 30, "accepted": 30}
    for execution_id in ids:
        shown = client.get(f"{EXECUTIONS}/{execution_id}").get_json()
        assert shown["requested"] == "start" or shown["status"] != "created"


def test_a_filter_joins_what_it_names_and_the_status_decides(
    client: FlaskClient, flow_id: str, rows: Rows
) -> None:
    waiting = create(client, flow_id, 3)
    started = create(client, flow_id, 2, autostart=True)
    client.post("/api/v1/flows", json={**GREETING, "id": "V2other"})
    others = create(client, "V2other", 1)
    assert command(client, "start", flowId=flow_id) == {"matched": 5, "accepted": 3}
    assert command(client, "start", ids=[*waiting, *started]) == {"matched": 5, "accepted": 0}
    assert command(client, "pause", flowId=flow_id) == {"matched": 5, "accepted": 0}
    wanted = {"ids": [*waiting[:2], *others, "EXnone"], "flowId": flow_id, "status": ["created"]}
    assert command(client, "stop", **wanted) == {"matched": 2, "accepted": 2}
    stopped = rows("SELECT id, error_message FROM chaingraph_executions WHERE status = 'stopped'")
    assert sorted(stopped) == sorted((each, "stopped by user") for each in waiting[:2])
    rows("UPDATE chaingraph_executions SET owner_id = 'ada'")
    assert command(client, "stop", status=["created"]) == {"matched": 0, "accepted": 0}


def test_what_an_owner_has_in_hand_is_asked_of_it(
    client: FlaskClient, flow_id: str, database_url: str
) -> None:
    [execution_id] = create(client, flow_id, 1, autostart=True)
    store = PgRunStore(Database(database_url, pool_size=1))
    claimed = store.claim("w1", "token", 10_000, execution_id)
    assert claimed is not None
    store.write(claimed.fence, claimed.writes, boundary("flow:started"))
    path = f"{EXECUTIONS}/{execution_id}"

    assert command(client, "pause", status=["running"])["accepted"] == 1
    assert client.get(path).get_json()["requested"] == "pause"
    assert command(client, "resume", ids=[execution_id])["accepted"] == 1
    assert client.get(path).get_json()["requested"] is None
    assert command(client, "stop", ids=[execution_id])["accepted"] == 1
    assert client.get(path).get_json()["status"] == "stopped"
    assert not store.holds(claimed.fence)
    store.close()


def test_what_was_recorded_is_carried_out_though_the_call_can_not(
    client: FlaskClient,
    flow_id: str,
    rows: Rows,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create(client, flow_id, 3)

    def lost(_store: BulkStore, _limit: int) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(BulkStore, "carry_out", lost)
    assert command(client, "stop", flowId=flow_id) == {"matched": 3, "accepted": 3}
    assert rows("SELECT count(*) FROM chaingraph_executions WHERE status = 'stopped'") == [(0,)]

    sweeps = PgSweepStore(Database(database_url, pool_size=1), "sweeper")
    assert sweeps.carry_out_commands(10).size == 3
    sweeps.close()
    assert rows("SELECT count(*) FROM chaingraph_executions WHERE status = 'stopped'") == [(3,)]
    assert rows("SELECT count(*) FROM chaingraph_bulk_commands") == [(0,)]
