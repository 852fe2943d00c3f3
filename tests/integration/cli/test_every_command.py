"""Each command once where it can't do what it is told: a line that says why, and a status."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from typer.main import get_command

from app.cli.root import cli
from app.client.retrying import Patience
from tests.integration.cli.conftest import Run

NOBODY = "http://127.0.0.1:1"
UNKNOWN = "EXnnnnnnnnnnnnnnnnnnnnnnnn"

#: Commands that ask the API for something that isn't there.
OF_WHAT_IS_UNKNOWN = [
    *(
        f"executions {command} {UNKNOWN}"
        for command in (
            "show",
            "nodes",
            "events",
            "tree",
            "recoveries",
            "start",
            "pause",
            "resume",
            "step",
            "stop",
            "fork",
            "recover",
        )
    ),
    f"executions nodes {UNKNOWN} node",
    f"executions events {UNKNOWN} --follow",
    f"executions signal {UNKNOWN} name",
    "flows show V2nope",
    "nodes NopeNode",
    "secrets delete nope",
]
#: The others that ask the API.
OF_THE_API = [
    "run flow.json",
    "executions list",
    f"executions bulk stop --id {UNKNOWN}",
    "flows list",
    "flows push flow.json",
    "flows validate flow.json",
    "nodes",
    "secrets list",
    "secrets set name",
]
#: Those that go to the database themselves.
OF_THE_DATABASE = ["tokens create name", "tokens list", "tokens revoke name", "migrate"]
#: Those that look by themselves whether anything is there.
OTHERS = ["dev", "doctor", "config", "secrets rotate"]

FLOW = """{"id": "V2g", "metadata": {"name": "g"}, "edges": [],
 "nodes": [{"id": "a", "type": "DebugLogNode"}, {"id": "b", "type": "DebugLogNode"}]}"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flow.json").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("s3cret"))
    # Nobody comes back meanwhile.
    monkeypatch.setattr(Patience, "pause_s", lambda *_: 0.0)


def names(command: Any, *above: str) -> Iterator[str]:
    commands = getattr(command, "commands", None)
    if commands is None:
        yield " ".join(above)
        return
    for name, below in commands.items():
        yield from names(below, *above, name)


def test_every_command_is_tried_here() -> None:
    tried = [*OF_WHAT_IS_UNKNOWN, *OF_THE_API, *OF_THE_DATABASE, *OTHERS]
    for name in names(get_command(cli)):
        assert any(f"{each} ".startswith(f"{name} ") for each in tried), name


@pytest.mark.parametrize("command", [*OF_WHAT_IS_UNKNOWN, *OF_THE_API])
def test_without_a_server_it_ends_with_3(
    run: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINGRAPH_URL", NOBODY)
    status, [line] = run(*command.split())
    assert status == 3
    assert line.startswith(f"chaingraph: {NOBODY} can't be reached: ")


@pytest.mark.parametrize("command", [*OF_THE_DATABASE, "migrate --check", "migrate --generate x"])
def test_without_a_database_it_ends_with_3(
    run: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@127.0.0.1:1/d")
    status, [line] = run(*command.split())
    assert status == 3
    assert line.startswith("chaingraph: PostgreSQL can't be reached: ")


def test_what_is_unknown_or_forbidden_is_said_with_1(
    run: Run, guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in [*OF_WHAT_IS_UNKNOWN, *OF_THE_API]:
        status, [line] = run(*command.split())
        assert (command, status) == (command, 1)
        assert line.startswith("chaingraph: Unauthorized: ")

    monkeypatch.setenv("CHAINGRAPH_TOKEN", guarded)
    for command in OF_WHAT_IS_UNKNOWN:
        status, [line] = run(*command.split())
        assert (command, status) == (command, 1)
        assert "here is no " in line or line.endswith("Only an admin may recover executions.")


def test_a_migration_is_written_on_an_up_to_date_database_alone(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM alembic_version")
    connection.close()
    told = "chaingraph: the database is not up to date: run `chaingraph migrate` first"
    assert run("migrate", "--generate", "more") == (1, [told])
    assert run("migrate", "--generate", " ")[0] == 2
