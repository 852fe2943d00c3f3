"""RATE_LIMIT: so many calls of a caller, counted for all API processes together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.caller import Caller
from app.cli import token_table
from app.config import load_settings
from app.store.tokens import TokenTable
from app.tokens import new_token
from tests.openapi import CheckedClient
from web import create_app
from web.composition import end

#: No test takes so long, whenever in it a window begins.
LIMIT = "3/day"
FLOWS = "/api/v1/flows"

Make = Callable[..., Flask]


@pytest.fixture
def make(database_url: str, redis_url: str) -> Iterator[Make]:
    """Make API processes of one database and one Redis."""
    made: list[Flask] = []

    def make(**environ: str) -> Flask:
        known = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "RATE_LIMIT": LIMIT}
        app = create_app(load_settings({**known, **environ}))
        app.test_client_class = CheckedClient
        made.append(app)
        return app

    yield make
    for each in made:
        end(each)


def get(app: Flask, path: str = FLOWS, **more: Any) -> TestResponse:
    return app.test_client().get(path, **more)


def from_(address: str) -> dict[str, Any]:
    return {"environ_overrides": {"REMOTE_ADDR": address}}


def test_a_call_too_many_is_told_when_to_come_back(make: Make) -> None:
    one, other = make(), make()
    assert [get(app).status_code for app in (one, other, one)] == [200] * 3
    refused = get(other)
    assert refused.status_code == 429
    assert refused.get_json()["code"] == "TOO_MANY_REQUESTS"
    assert 1 <= int(refused.headers["Retry-After"]) <= 86_401
    assert get(one, **from_("127.0.0.2")).status_code == 200


def test_probes_and_the_description_are_not_counted(make: Make) -> None:
    app = make()
    for _ in range(5):
        assert get(app, "/health/live").status_code == 200
        assert get(app, "/openapi.json").status_code == 200
    assert get(app).status_code == 200


def test_each_token_has_its_own_and_wrong_ones_that_of_their_address(
    make: Make, database_url: str
) -> None:
    app = make(AUTH_ENABLED="true", SECRET_KEY="k" * 32)
    ada, bob = (token_table.create(database_url, name, name, "user")[1] for name in ("ada", "bob"))

    def status(token: str) -> int:
        return get(app, headers={"Authorization": f"Bearer {token}"}).status_code

    assert status(bob) == 200
    assert [status(ada) for _ in range(4)] == [200, 200, 200, 429]
    assert [status(f"wrong{number}") for number in range(4)] == [401, 401, 401, 429]
    assert status(bob) == 200


def test_who_guesses_tokens_does_not_have_the_database_asked_for_ever(
    make: Make, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    find = TokenTable.find

    def counting(table: TokenTable, token_hash: str) -> Caller | None:
        asked.append(token_hash)
        return find(table, token_hash)

    monkeypatch.setattr(TokenTable, "find", counting)
    app = make(AUTH_ENABLED="true", SECRET_KEY="k" * 32)
    bob = token_table.create(database_url, "bob", "bob", "user")[1]

    def status(token: str, address: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return get(app, headers=headers, **from_(address)).status_code

    guesses = [status(new_token(number.to_bytes), "127.0.0.2") for number in range(6)]
    assert guesses == [401] * 3 + [429] * 3
    assert len(asked) == 3
    assert [status(bob, "127.0.0.2"), len(asked)] == [429, 3]
    # From elsewhere it is looked up, and then known.
    assert [status(bob, address) for address in ("127.0.0.3", "127.0.0.2")] == [200, 200]


def test_without_redis_nobody_is_refused(make: Make) -> None:
    app = make(REDIS_URL="redis://127.0.0.1:1/0")
    assert [get(app).status_code for _ in range(5)] == [200] * 5
