"""Whatever is sent, the answers are what the API's description of itself says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from app.cli import token_table
from app.config import load_settings
from app.embedded.valkey import EmbeddedValkey
from tests.fuzzing import MEANT, faults_of
from tests.unit.web.fakes import fake_services
from web import create_app
from web.composition import end
from web.factory import build_app
from web.openapi import describe

#: Requests of each kind, for each operation.
EXAMPLES = 20
MANY_EXAMPLES = 200
#: What is drawn for the whole API takes some ten seconds: in parts it is spread.
PARTS = 4

WAYS = ("open", "token", "no token")


@dataclass(frozen=True)
class Served:
    """An API, what it says of itself, and what is sent along."""

    app: Flask
    document: dict[str, Any]
    headers: dict[str, str]


#: What is described wherever it is served.
DOCUMENT = describe(build_app(fake_services(), max_body_bytes=1))


@pytest.fixture(scope="module")
def serve(
    new_database: Callable[[], str], valkey: EmbeddedValkey
) -> Iterator[Callable[[str], Served]]:
    """Serve in one of the ways; one API for all who ask for the same."""
    made: dict[str, Served] = {}

    def get(way: str) -> Served:
        if way not in made:
            made[way] = _open() if way == "open" else _closed(new_database(), valkey.url(), way)
        return made[way]

    yield get
    for served in made.values():
        end(served.app)


def _open() -> Served:
    app = create_app(load_settings({"EXECUTION_MODE": "local"}))
    return Served(app, describe(app), {})


def _closed(database_url: str, redis_url: str, way: str) -> Served:
    environ = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "AUTH_ENABLED": "true",
        "SECRET_KEY": "k" * 32,
    }
    app = create_app(load_settings(environ))
    _, secret = token_table.create(database_url, "fuzz", "fuzz", "admin")
    headers = {"Authorization": f"Bearer {secret}"} if way == "token" else {}
    return Served(app, describe(app), headers)


@pytest.mark.parametrize("part", range(PARTS))
def test_an_answer_is_as_described(serve: Callable[[str], Served], part: int) -> None:
    served = serve("open")
    paths = list(DOCUMENT["paths"])[part::PARTS]
    assert list(faults_of(served.app, served.document, *paths, examples=EXAMPLES)) == []


@pytest.mark.parametrize("way", ["token", "no token"])
def test_it_is_where_tokens_are_asked_for(serve: Callable[[str], Served], way: str) -> None:
    served = serve(way)
    found = faults_of(
        served.app,
        served.document,
        examples=EXAMPLES,
        headers=served.headers,
        at_bounds=way == "no token",
    )
    assert list(found) == []


def test_what_means_more_than_a_schema_says_is_there() -> None:
    there = {f"{m.upper()} {path}" for path, ms in DOCUMENT["paths"].items() for m in ms}
    assert set(MEANT) <= there


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", WAYS)
def test_many_answers_are_as_described(serve: Callable[[str], Served], way: str) -> None:
    served = serve(way)
    found = faults_of(
        served.app,
        served.document,
        examples=MANY_EXAMPLES,
        headers=served.headers,
        stateful=True,
    )
    assert list(found) == []
