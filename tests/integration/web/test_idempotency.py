from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.store.database import Database
from app.store.sweeps import PgSweepStore
from tests.integration.web.conftest import Rows
from tests.waiting import wait_until
from tests.world import World

EXECUTIONS = "/api/v1/executions"
KEY = {"Idempotency-Key": "order-4711"}


def count(beside: World) -> int:
    return len(beside.rows("chaingraph_executions"))


def test_a_request_sent_again_creates_nothing_and_shows_what_is(
    client: FlaskClient, flow_id: str, beside: World, database_url: str
) -> None:
    # Where nothing runs: what is started stays as it is.
    body = {"flowId": flow_id, "integration": {"a": 1, "b": [2]}}
    first = client.post(EXECUTIONS, json=body, headers=KEY)
    assert "Idempotent-Replayed" not in first.headers
    client.post(f"{first.headers['Location']}/start")
    client.delete(f"/api/v1/flows/{flow_id}")

    turned = {"integration": {"b": [2], "a": 1}, "flowId": flow_id}
    again = client.post(EXECUTIONS, json=turned, headers=KEY)

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.headers["Location"] == first.headers["Location"]
    assert again.get_json() == client.get(first.headers["Location"]).get_json()
    assert again.get_json()["requested"] == "start"
    assert count(beside) == 1


def test_a_batch_sent_again_is_the_same_batch(
    client: FlaskClient, flow_id: str, beside: World
) -> None:
    batch = {"items": [{"flowId": flow_id}] * 5}
    first = client.post(f"{EXECUTIONS}/batch", json=batch, headers=KEY)
    again = client.post(f"{EXECUTIONS}/batch", json=batch, headers=KEY)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.get_json() == first.get_json()
    assert count(beside) == 5


def test_another_body_under_the_key_is_refused(
    client: FlaskClient, flow_id: str, beside: World
) -> None:
    client.post(EXECUTIONS, json={"flowId": flow_id}, headers=KEY)
    other = client.post(EXECUTIONS, json={"flowId": flow_id, "autostart": True}, headers=KEY)
    assert other.status_code == 422
    assert "another body" in other.get_json()["errors"][0]["message"]
    assert count(beside) == 1


def test_a_key_counts_for_its_caller_and_its_route(
    client: FlaskClient, flow_id: str, rows: Rows, beside: World
) -> None:
    body = {"flowId": flow_id}
    client.post(EXECUTIONS, json=body, headers=KEY)
    client.post(f"{EXECUTIONS}/batch", json={"items": [body]}, headers=KEY)
    rows("UPDATE chaingraph_idempotency_keys SET owner_id = 'ada'")
    assert "Idempotent-Replayed" not in client.post(EXECUTIONS, json=body, headers=KEY).headers
    assert count(beside) == 3


def test_what_was_refused_may_be_sent_again_mended(
    client: FlaskClient, flow_id: str, beside: World
) -> None:
    wrong = {"flowId": flow_id, "inputs": {"a": {"text": 5}}}
    assert client.post(EXECUTIONS, json=wrong, headers=KEY).status_code == 422
    assert client.post(EXECUTIONS, json={"flowId": "V2none"}, headers=KEY).status_code == 404
    mended = client.post(EXECUTIONS, json={"flowId": flow_id}, headers=KEY)
    assert mended.status_code == 201
    assert "Idempotent-Replayed" not in mended.headers


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é", "a\tb"])
def test_what_is_no_key_is_refused(client: FlaskClient, flow_id: str, key: str) -> None:
    answer = client.post(EXECUTIONS, json={"flowId": flow_id}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422


def test_of_many_at_once_one_creates(app: Flask, flow_id: str, beside: World) -> None:
    def send(_: int) -> tuple[str, bool]:
        answer = app.test_client().post(EXECUTIONS, json={"flowId": flow_id}, headers=KEY)
        return answer.get_json()["id"], "Idempotent-Replayed" in answer.headers

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(send, range(12)))

    assert len({execution_id for execution_id, _ in answers}) == 1
    assert sorted(replayed for _, replayed in answers) == [False, *[True] * 11]
    assert count(beside) == 1


def test_one_in_flight_is_waited_for(
    app: Flask, client: FlaskClient, flow_id: str, rows: Rows, beside: World, database_url: str
) -> None:
    body = {"flowId": flow_id}
    first = client.post(EXECUTIONS, json=body, headers=KEY).get_json()["id"]
    [known] = rows("DELETE FROM chaingraph_idempotency_keys RETURNING *")
    in_flight = psycopg2.connect(database_url)
    with in_flight.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute(
            "INSERT INTO chaingraph_idempotency_keys VALUES (%s, %s, %s, %s, %s, %s)", known
        )
        sent = pool.submit(lambda: app.test_client().post(EXECUTIONS, json=body, headers=KEY))
        waits = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        wait_until(lambda: rows(waits) == [(1,)], "the second request waits for the first")
        in_flight.commit()
        answer = sent.result()
    in_flight.close()
    assert (answer.status_code, answer.get_json()["id"]) == (201, first)
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert count(beside) == 1


def test_a_key_is_kept_for_a_day(
    client: FlaskClient, flow_id: str, rows: Rows, beside: World, database_url: str
) -> None:
    def send(key: str) -> Any:
        return client.post(EXECUTIONS, json={"flowId": flow_id}, headers={"Idempotency-Key": key})

    def age(key: str, by: str) -> None:
        rows(
            "UPDATE chaingraph_idempotency_keys SET created_at = created_at - %s::interval"
            " WHERE key = %s",
            by,
            key,
        )

    for key, by in (("old", "24 hours"), ("older", "25 hours"), ("young", "23 hours")):
        send(key)
        age(key, by)
    assert "Idempotent-Replayed" not in send("old").headers
    assert "Idempotent-Replayed" in send("old").headers
    assert "Idempotent-Replayed" in send("young").headers

    database = Database(database_url, pool_size=1)
    sweeps = PgSweepStore(database, "sweeper")
    sweeps.forget_keys(10)
    sweeps.close()
    kept = rows("SELECT key FROM chaingraph_idempotency_keys ORDER BY key")
    assert kept == [("old",), ("young",)]
    assert count(beside) == 4


def test_without_a_key_none_is_looked_for(
    client: FlaskClient, flow_id: str, rows: Rows, database_url: str
) -> None:
    rows("DROP TABLE chaingraph_idempotency_keys")
    assert client.post(EXECUTIONS, json={"flowId": flow_id}).status_code == 201
    batch = {"items": [{"flowId": flow_id}]}
    assert client.post(f"{EXECUTIONS}/batch", json=batch).status_code == 201
