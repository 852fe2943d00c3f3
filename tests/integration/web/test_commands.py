from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.config import load_settings
from app.store.database import Database
from app.store.records import Boundary, CheckpointRow, Claimed, Progress, Written
from app.store.runs import PgRunStore
from tests.integration.store.boundaries import DONE
from tests.integration.web.conftest import GREETING, Rows
from tests.waiting import wait_until
from web import create_app
from web.composition import end

EXECUTIONS = "/api/v1/executions"
COMMANDS = ("pause", "resume", "step", "stop")
NO_REDIS = "redis://127.0.0.1:1"
MANY = 20


@pytest.fixture
def store(database_url: str) -> Iterator[PgRunStore]:
    """A worker's store."""
    database = Database(database_url, pool_size=1)
    store = PgRunStore(database)
    yield store
    store.close()
    database.engine.dispose()


@pytest.fixture
def execution_id(client: FlaskClient, flow_id: str) -> str:
    """An execution that was started."""
    answer = client.post(EXECUTIONS, json={"flowId": flow_id, "autostart": True})
    execution_id: str = answer.get_json()["id"]
    return execution_id


@pytest.fixture
def owned(store: PgRunStore, execution_id: str) -> Claimed:
    """It is run by `w1`, its first node in hand."""
    claimed = store.claim("w1", "token", 10_000, execution_id)
    assert claimed is not None
    begun = Boundary([("flow:started", "{}"), ("node:started", '{"nodeId":"a"}')], grants='{"a":1}')
    assert isinstance(store.write(claimed.fence, claimed.writes, begun), Written)
    return claimed


@pytest.fixture
def paused(client: FlaskClient, store: PgRunStore, owned: Claimed) -> str:
    """Its first node is done, and it is paused."""
    checkpoint = CheckpointRow("a", 0, "completed", 1, 1, '{"text":"Ada"}', "[]", None)
    done = Boundary([("node:completed", "{}")], [checkpoint], progress=Progress(completed=1))
    assert isinstance(store.write(owned.fence, owned.writes + 1, done), Written)
    store.release(owned.fence)
    command(client, owned.fence.execution_id, "pause")
    return owned.fence.execution_id


def command(client: FlaskClient, execution_id: str, name: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{EXECUTIONS}/{execution_id}/{name}", json=body)
    assert answer.status_code == 202, answer.text
    shown: dict[str, Any] = answer.get_json()
    return shown


def refusal(client: FlaskClient, execution_id: str, name: str) -> str:
    answer = client.post(f"{EXECUTIONS}/{execution_id}/{name}")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "CONFLICT")
    detail: str = answer.get_json()["detail"]
    return detail


def last_events(client: FlaskClient, execution_id: str, count: int) -> list[tuple[str, Any]]:
    events = client.get(f"{EXECUTIONS}/{execution_id}/events").get_json()["events"]
    return [(event["type"], event["data"]) for event in events][-count:]


def test_a_running_execution_is_asked_to_pause(client: FlaskClient, owned: Claimed) -> None:
    execution_id = owned.fence.execution_id
    shown = command(client, execution_id, "pause", reason="lunch")
    assert (shown["status"], shown["requested"]) == ("running", "pause")
    assert command(client, execution_id, "pause") == shown
    assert command(client, execution_id, "resume")["requested"] is None
    assert refusal(client, execution_id, "resume") == "Cannot resume execution in status running"
    assert refusal(client, execution_id, "step") == "Cannot step execution in status running"


def test_what_nobody_runs_is_paused_when_it_is_answered(
    client: FlaskClient, store: PgRunStore, owned: Claimed
) -> None:
    execution_id = owned.fence.execution_id
    store.release(owned.fence)
    shown = command(client, execution_id, "pause", reason="lunch")
    assert (shown["status"], shown["requested"]) == ("paused", None)
    assert shown["waiting"]["for"] == "resume"
    assert last_events(client, execution_id, 1) == [("flow:paused", {"reason": "lunch"})]
    assert refusal(client, execution_id, "pause") == "Cannot pause execution in status paused"


def test_a_reason_is_given_where_none_is(client: FlaskClient, paused: str) -> None:
    assert last_events(client, paused, 1) == [("flow:paused", {"reason": "paused by user"})]
    assert command(client, paused, "stop")["errorMessage"] == "stopped by user"


def test_a_resumed_execution_waits_for_a_worker(client: FlaskClient, paused: str) -> None:
    shown = command(client, paused, "resume", reason="back")
    assert (shown["status"], shown["waiting"]["for"]) == ("running", "worker")
    assert last_events(client, paused, 1) == [("flow:resumed", {})]


def test_a_step_is_requested_where_a_node_is_ready(client: FlaskClient, paused: str) -> None:
    shown = command(client, paused, "step")
    assert (shown["status"], shown["requested"]) == ("running", "step")
    assert last_events(client, paused, 1) == [("flow:resumed", {})]


def test_a_step_is_refused_where_no_node_is_ready(
    client: FlaskClient, paused: str, rows: Rows
) -> None:
    rows(
        "INSERT INTO chaingraph_checkpoints SELECT execution_id, 'b', 1, 'waiting', attempt,"
        " started_at, completed_at, 1, worker_id, NULL, NULL, %s, clock_timestamp() + '1 hour'"
        " FROM chaingraph_checkpoints",
        '{"type":"E","message":"m"}',
    )
    assert refusal(client, paused, "step") == "Cannot step execution: no node is ready"

    rows("UPDATE chaingraph_checkpoints SET retry_at = clock_timestamp() WHERE node_id = 'b'")
    assert command(client, paused, "step")["requested"] == "step"


def test_a_node_that_a_crash_cut_off_is_not_shown_as_running_while_paused(
    client: FlaskClient, store: PgRunStore, owned: Claimed
) -> None:
    execution_id = owned.fence.execution_id
    store.release(owned.fence)
    command(client, execution_id, "pause")
    nodes = client.get(f"{EXECUTIONS}/{execution_id}/nodes").get_json()["items"]
    assert [node["status"] for node in nodes] == ["initialized", "initialized"]
    assert command(client, execution_id, "step")["requested"] == "step"


def test_what_was_never_started_is_stopped(client: FlaskClient, flow_id: str) -> None:
    execution_id = client.post(EXECUTIONS, json={"flowId": flow_id}).get_json()["id"]
    for name in ("pause", "resume", "step"):
        assert refusal(client, execution_id, name) == f"Cannot {name} execution in status created"
    shown = command(client, execution_id, "stop", reason="enough")
    assert (shown["status"], shown["errorMessage"]) == ("stopped", "enough")
    assert shown["completedAt"] == shown["updatedAt"]
    reason = {"executionTimeMs": 0, "reason": "enough"}
    ended = [("flow:cancelled", reason), ("execution:stopped", reason)]
    assert last_events(client, execution_id, 2) == ended
    for name in ("start", *COMMANDS):
        assert refusal(client, execution_id, name) == f"Cannot {name} execution in status stopped"


def test_a_stop_takes_a_node_from_its_worker(
    client: FlaskClient, store: PgRunStore, owned: Claimed
) -> None:
    shown = command(client, owned.fence.execution_id, "stop")
    assert (shown["status"], shown["requested"], shown["waiting"]) == ("stopped", None, None)
    assert not store.holds(owned.fence)
    nodes = client.get(f"{EXECUTIONS}/{owned.fence.execution_id}/nodes").get_json()["items"]
    assert [node["status"] for node in nodes] == ["cancelled", "cancelled"]


def test_what_is_completed_takes_no_command(
    client: FlaskClient, store: PgRunStore, owned: Claimed
) -> None:
    store.write(owned.fence, owned.writes + 1, DONE)
    for name in COMMANDS:
        detail = refusal(client, owned.fence.execution_id, name)
        assert detail == f"Cannot {name} execution in status completed"


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_taken_without_redis(
    database_url: str, client: FlaskClient, owned: Claimed, paused: str, name: str
) -> None:
    settings = load_settings({"DATABASE_URL": database_url, "REDIS_URL": NO_REDIS})
    alone = create_app(settings).test_client()
    if name == "pause":
        command(client, paused, "resume")
    command(alone, paused, name)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_a_reason_and_nothing_else(
    client: FlaskClient, paused: str, rows: Rows, name: str
) -> None:
    path = f"{EXECUTIONS}/{paused}/{name}"
    for body in ({"force": True}, {"reason": 1}, {"reason": "x" * 1001}, []):
        assert client.post(path, json=body).status_code == 422
    assert client.post(f"{path}?force=1").status_code == 422
    for unknown in ("EXnone", "%00", "a'b", "x" * 3000, "%ED%A0%80"):
        assert client.post(f"{EXECUTIONS}/{unknown}/{name}").status_code == 404
    rows("UPDATE chaingraph_executions SET owner_id = 'ada'")
    assert client.post(path).status_code == 404
    assert rows("SELECT status FROM chaingraph_executions") == [("paused",)]


@pytest.mark.parametrize("name", COMMANDS)
def test_of_many_callers_one_succeeds(
    app: Flask, client: FlaskClient, paused: str, name: str
) -> None:
    if name == "pause":
        command(client, paused, "resume")
    together = threading.Barrier(MANY)

    def call(_: int) -> int:
        together.wait()
        return app.test_client().post(f"{EXECUTIONS}/{paused}/{name}").status_code

    with ThreadPoolExecutor(MANY) as pool:
        statuses = sorted(pool.map(call, range(MANY)))

    assert statuses == [202, *[409] * (MANY - 1)]


def test_breakpoints_name_nodes(client: FlaskClient, flow_id: str) -> None:
    body = {"flowId": flow_id, "options": {"breakpoints": ["b", "x"]}}
    refused = client.post(EXECUTIONS, json=body)
    assert refused.status_code == 422
    [fault] = refused.get_json()["errors"]
    assert fault == {"pointer": "/options/breakpoints/1", "message": "the flow has no node 'x'"}
    body["options"] = {"breakpoints": ["b"]}
    created = client.post(EXECUTIONS, json=body)
    assert created.get_json()["options"]["breakpoints"] == ["b"]


def test_local_mode_takes_the_same_commands(tmp_path: Path) -> None:
    environ = {"EXECUTION_MODE": "local", "DATA_DIR": str(tmp_path)}
    app = create_app(load_settings(environ))
    client = app.test_client()
    flow_id = client.post("/api/v1/flows", json=GREETING).get_json()["id"]
    body = {"flowId": flow_id, "autostart": True, "options": {"breakpoints": ["b"]}}
    execution_id = client.post(EXECUTIONS, json=body).get_json()["id"]

    def await_status(status: str) -> None:
        path = f"{EXECUTIONS}/{execution_id}"
        wait_until(lambda: client.get(path).get_json()["status"] == status, f"it is {status}")

    try:
        await_status("paused")
        command(client, execution_id, "step")
        await_status("completed")
    finally:
        end(app)
