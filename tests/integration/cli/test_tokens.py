"""`chaingraph tokens`, and what `chaingraph dev` does about tokens, on a database."""

from __future__ import annotations

import json
import time
from typing import Any

import psycopg2
import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.caller import Caller
from app.cli import token_table
from app.cli.dev_tokens import first_token, own_token
from app.cli.root import cli
from app.config import Settings, load_settings
from app.executions.verification import Verifier
from app.store.database import Database
from app.store.tokens import TokenTable


@pytest.fixture
def settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATABASE_URL", database_url)
    environ = {"AUTH_ENABLED": "true", "SECRET_KEY": "k" * 32, "DATABASE_URL": database_url}
    return load_settings(environ)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["tokens", *arguments])


def answered(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def caller_of(settings: Settings, token: str) -> Caller | None:
    """Who sends a token, as an API process that has just begun finds out."""
    database = Database(settings.database_url, pool_size=1)
    try:
        return Verifier(TokenTable(database), time.monotonic).caller_of(token)
    finally:
        database.engine.dispose()


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(settings.database_url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        connection.close()


def test_a_token_is_shown_once_and_opens_the_api_until_it_is_revoked(settings: Settings) -> None:
    made = answered("create", "ada's laptop", "--owner", "ada")
    assert (made["name"], made["ownerId"], made["role"]) == ("ada's laptop", "ada", "user")
    token = made.pop("token")
    assert caller_of(settings, token) == Caller("ada", "user", made["id"])
    [listed] = answered("list")
    assert listed == made
    assert token not in str(rows(settings, "SELECT * FROM chaingraph_tokens"))

    revoked = answered("revoke", "ada's laptop")
    assert revoked["revokedAt"] is not None
    assert caller_of(settings, token) is None
    [listed] = answered("list")
    assert listed == revoked


def test_a_token_of_a_name_is_its_owner_and_a_user_unless_told(settings: Settings) -> None:
    plain = answered("create", "bob")
    assert (plain["ownerId"], plain["role"]) == ("bob", "user")
    admin = answered("create", "ops", "--role", "admin")
    assert caller_of(settings, admin["token"]) == Caller("ops", "admin", admin["id"])
    assert [each["name"] for each in answered("list")] == ["ops", "bob"]


def test_people_get_the_token_alone_on_standard_output(settings: Settings) -> None:
    done = run("create", "ada")
    assert caller_of(settings, done.stdout.strip()) is not None
    assert "not shown again" in done.stderr
    assert "ada" in run("list").stdout


def test_a_name_is_taken_until_it_is_revoked(settings: Settings) -> None:
    first = answered("create", "ada")
    again = run("create", "ada")
    assert isinstance(again.exception, token_table.TokenError)
    assert "there is a token 'ada'" in str(again.exception)
    answered("revoke", first["id"])
    assert answered("create", "ada")["id"] != first["id"]
    assert isinstance(run("revoke", "nobody").exception, token_table.TokenError)
    assert isinstance(run("revoke", first["id"]).exception, token_table.TokenError)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 256])
def test_a_name_can_be_read(settings: Settings, name: str) -> None:
    assert run("create", name).exit_code == 2
    assert run("create", "ada", "--owner", name).exit_code == 2
    assert not rows(settings, "SELECT 1 FROM chaingraph_tokens")


def test_it_is_noted_who_made_and_revoked_one(settings: Settings) -> None:
    made = answered("create", "ada")
    answered("revoke", "ada")
    run("revoke", "ada")
    noted = rows(
        settings,
        "SELECT action, subject_kind, subject_id, owner_id LIKE 'cli:%' FROM chaingraph_audit"
        " ORDER BY id",
    )
    assert noted == [("create", "token", made["id"], True), ("revoke", "token", made["id"], True)]


def test_a_database_without_the_table_says_what_to_do(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    assert "chaingraph migrate" in str(run("list").exception)


def test_dev_makes_one_to_begin_with_and_no_second(settings: Settings) -> None:
    token = first_token(settings)
    assert token is not None
    caller = caller_of(settings, token)
    assert caller is not None
    # What was stored before there were tokens is in sight.
    assert (caller.owner_id, caller.role) == ("local", "admin")
    assert first_token(settings) is None
    answered("revoke", "dev")
    assert first_token(settings) is not None


def test_devs_own_token_ends_with_what_it_was_for(settings: Settings) -> None:
    with own_token(settings) as token:
        assert token is not None
        assert caller_of(settings, token) is not None
    assert caller_of(settings, token) is None
    given = load_settings({**KEYED, "DATABASE_URL": settings.database_url})
    with own_token(given) as token:
        assert token == "mine"
    assert first_token(given) is None
    with own_token(load_settings({"DATABASE_URL": settings.database_url})) as token:
        assert token is None


KEYED = {"AUTH_ENABLED": "true", "SECRET_KEY": "k" * 32, "CHAINGRAPH_TOKEN": "mine"}
