from __future__ import annotations

from flask.testing import FlaskClient

from app.config import load_settings
from tests.integration.web.conftest import GREETING
from web import create_app

NOWHERE = "postgresql://127.0.0.1:1/none"
NO_REDIS = "redis://127.0.0.1:1"


def client_of(database_url: str, redis_url: str) -> FlaskClient:
    settings = load_settings({"DATABASE_URL": database_url, "REDIS_URL": redis_url})
    return create_app(settings).test_client()


def test_it_is_ready_with_everything_there(client: FlaskClient, mode: str) -> None:
    server = "up" if mode == "celery" else "unused"
    response = client.get("/health/ready")
    assert response.status_code == 200
    assert response.get_json() == {
        "status": "ok",
        "postgres": server,
        "redis": server,
        "schema": "current",
    }


def test_it_is_ready_without_redis(database_url: str) -> None:
    response = client_of(database_url, NO_REDIS).get("/health/ready")
    assert (response.status_code, response.get_json()["redis"]) == (200, "down")


def test_it_is_not_ready_without_a_schema(empty_database_url: str, redis_url: str) -> None:
    response = client_of(empty_database_url, redis_url).get("/health/ready")
    assert (response.status_code, response.get_json()["schema"]) == (503, "outdated")


def test_without_a_database_it_lives_and_says_503(redis_url: str) -> None:
    client = client_of(NOWHERE, redis_url)
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.get_json()["postgres"]) == (503, "down")
    assert client.get("/health/live").status_code == 200
    for response in (
        client.get("/api/v1/flows"),
        client.get("/api/v1/executions"),
        client.get("/api/v1/executions/EX1/events"),
        client.get("/api/v1/workers"),
        client.post("/api/v1/flows", json=GREETING),
        client.post("/api/v1/executions", json={"flowId": "V2a"}),
    ):
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
        assert response.get_json()["code"] == "SERVICE_UNAVAILABLE"
