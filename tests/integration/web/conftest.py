from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.config import load_settings
from tests.memory_world import MemoryWorld
from tests.openapi import CheckedClient
from tests.world import PgWorld, World
from web import create_app
from web.composition import PARTS, end

Rows = Callable[..., list[tuple[Any, ...]]]


Count = Callable[[str], int]

MODES = ("celery", "local")
#: Who asks for these looks at PostgreSQL or Redis beside the app.
SERVERS = frozenset({"rows", "database_url", "empty_database_url"})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for the app, and nothing of its servers, in both modes."""
    if "mode" in metafunc.fixturenames:
        modes = MODES[:1] if SERVERS & set(metafunc.fixturenames) else MODES
        metafunc.parametrize("mode", modes, scope="function")


@pytest.fixture(autouse=True)
def broker(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's settings are those of the environment when its app is first used."""
    monkeypatch.setenv("REDIS_URL", redis_url)


@pytest.fixture
def app(mode: str, redis_url: str, request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The API; every answer to a client of it is held against its own description."""
    environ = {"EXECUTION_MODE": mode}
    if mode == "celery":
        environ["DATABASE_URL"] = request.getfixturevalue("database_url")
        environ["REDIS_URL"] = redis_url
    app = create_app(load_settings(environ))
    app.test_client_class = CheckedClient
    yield app
    end(app)


@pytest.fixture
def beside(app: Flask, mode: str, request: pytest.FixtureRequest) -> Iterator[World]:
    """The app's store, looked at and changed from beside."""
    if mode == "local":
        yield MemoryWorld(database=app.extensions[PARTS].sessions)
        return
    world = PgWorld(request.getfixturevalue("database_url"))
    yield world
    world.close()


@pytest.fixture
def count(beside: World) -> Count:
    """Count the rows of a table."""
    return lambda table: len(beside.rows(table))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def rows(database_url: str) -> Rows:
    """Ask the database, beside the app."""

    def ask(statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(database_url)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, arguments)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    return ask


@pytest.fixture
def flow_id(client: FlaskClient) -> str:
    """A flow of two nodes."""
    flow_id: str = client.post("/api/v1/flows", json=GREETING).get_json()["id"]
    return flow_id


def text(node_id: str, value: Any = "Ada") -> dict[str, Any]:
    return {"id": node_id, "type": "TextNode", "values": {"text": value}}


def flow_of(*nodes: dict[str, Any], edges: Any = (), **more: Any) -> dict[str, Any]:
    document = {"metadata": {"name": "Greeting"}, "nodes": list(nodes)}
    return {**document, "edges": list(edges), **more}


GREETING = flow_of(text("a"), text("b"), edges=[{"source": "a.text", "target": "b.text"}])
