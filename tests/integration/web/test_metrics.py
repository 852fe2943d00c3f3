"""`/metrics`: what it shows, and to whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.config import load_settings
from tests.openapi import CheckedClient
from tests.reading_metrics import samples, total, value
from web import create_app
from web.composition import end

ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}
TOKEN = {"Authorization": "Bearer t0ken-of-metrics"}

Made = Callable[..., FlaskClient]


@pytest.fixture
def made(database_url: str, redis_url: str) -> Iterator[Made]:
    """Make an API with these settings."""
    apps: list[Flask] = []

    def make(**environ: str) -> FlaskClient:
        given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, **environ}
        app = create_app(load_settings(given))
        app.test_client_class = CheckedClient
        apps.append(app)
        return app.test_client()

    yield make
    for app in apps:
        end(app)


def test_it_tells_what_was_asked_and_what_there_is(client: FlaskClient, flow_id: str) -> None:
    for _ in range(2):
        client.post("/api/v1/executions", json={"flowId": flow_id})
    client.get("/api/v1/executions/EX1")
    client.get("/api/v1/executions/EX2")
    client.get("/nowhere")
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    text = answer.text
    count = "chaingraph_http_request_duration_seconds_count"
    one = {"route": "/api/v1/executions/<execution_id>", "method": "GET"}
    assert value(text, count, **one, status="404") == 2
    assert value(text, count, route="/api/v1/executions", method="POST", status="201") == 2
    assert value(text, count, route="other", method="GET", status="404") == 1
    assert value(text, "chaingraph_executions_created_total") == 2
    assert value(text, "chaingraph_executions", status="created") == 2
    assert value(text, "chaingraph_database_up") == 1
    assert value(text, "chaingraph_events_published_total", outcome="sent") == 2
    assert "EX1" not in text


def test_a_stop_is_counted_once(client: FlaskClient, flow_id: str) -> None:
    ids = [
        client.post("/api/v1/executions", json={"flowId": flow_id}).get_json()["id"]
        for _ in range(3)
    ]
    for execution_id in ids[:2]:
        client.post(f"/api/v1/executions/{execution_id}/stop", json={})
        client.post(f"/api/v1/executions/{execution_id}/stop", json={})
    text = client.get("/metrics").text
    assert value(text, "chaingraph_executions_ended_total", status="stopped") == 2


def test_an_unheard_of_method_makes_no_series_of_its_own(client: FlaskClient) -> None:
    for method in ("BREW", "PROPFIND"):
        client.open("/api/v1/flows", method=method)
    text = client.get("/metrics").text
    assert total(text, "chaingraph_http_request_duration_seconds_count", method="other") == 2


@pytest.mark.parametrize("headers", [{}, TOKEN, {"Authorization": "Bearer wrong"}])
def test_this_machine_needs_no_token(made: Made, headers: dict[str, str]) -> None:
    assert made().get("/metrics", headers=headers).status_code == 200
    client = made(METRICS_TOKEN="t0ken-of-metrics")
    assert client.get("/metrics", headers=headers).status_code == 200


def test_another_machine_needs_the_token(made: Made) -> None:
    client = made(METRICS_TOKEN="t0ken-of-metrics")
    refused = client.get("/metrics", environ_overrides=ELSEWHERE)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get("/metrics", environ_overrides=ELSEWHERE, headers=TOKEN).status_code == 200


def test_without_a_token_others_see_no_metrics(made: Made) -> None:
    client = made()
    assert client.get("/metrics", environ_overrides=ELSEWHERE).status_code == 404
    assert client.get("/metrics", environ_overrides=ELSEWHERE, headers=TOKEN).status_code == 404


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_what_a_proxy_here_forwards_is_not_of_this_machine(made: Made, name: str) -> None:
    client = made(METRICS_TOKEN="t0ken-of-metrics")
    assert client.get("/metrics", headers={name: "127.0.0.1"}).status_code == 401
    assert client.get("/metrics", headers={name: "127.0.0.1", **TOKEN}).status_code == 200


@pytest.mark.parametrize("host", ["pointed-here.example", "192.0.2.7:5000", "["])
def test_a_page_whose_name_was_pointed_here_is_not_of_this_machine(made: Made, host: str) -> None:
    keys = {"AUTH_ENABLED": "true", "SECRET_KEY": "k" * 32}
    client = made(**keys)
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={"Host": host}).status_code == 404
    client = made(**keys, METRICS_TOKEN="t0ken-of-metrics")
    assert client.get("/metrics", headers={"Host": host}).status_code == 401
    assert client.get("/metrics", headers={"Host": host, **TOKEN}).status_code == 200


def test_a_token_of_the_api_is_not_that_of_the_metrics(made: Made) -> None:
    client = made(AUTH_ENABLED="true", SECRET_KEY="k" * 32, METRICS_TOKEN="t0ken-of-metrics")
    assert client.get("/metrics", headers=TOKEN).status_code == 200
    assert client.get("/api/v1/flows", headers=TOKEN).status_code == 401


def test_it_can_be_switched_off(made: Made) -> None:
    client = made(ENABLE_METRICS="false")
    assert client.get("/metrics").status_code == 404
    assert client.get("/health/live").status_code == 200


def test_the_memory_of_the_process_is_told_where_that_is_wanted(made: Made) -> None:
    name = "chaingraph_process_resident_bytes"
    assert total(made().get("/metrics").text, name) == 0
    assert total(made(METRICS_INCLUDE_MEMORY="true").get("/metrics").text, name) > 1_000_000


def test_it_answers_without_a_database(redis_url: str, made: Made) -> None:
    client = made(DATABASE_URL="postgresql://127.0.0.1:1/none")
    client.get("/api/v1/flows")
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert value(answer.text, "chaingraph_database_up") == 0
    assert not [name for name, _ in samples(answer.text) if name == "chaingraph_executions"]
    count = "chaingraph_http_request_duration_seconds_count"
    assert total(answer.text, count, status="503") == 1
