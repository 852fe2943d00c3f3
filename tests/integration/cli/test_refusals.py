"""What somebody is told who calls the wrong server, or without the right token."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from app.cli import main, token_table
from app.cli.doctor import examine
from app.config import load_settings
from tests.integration.conftest import served

#: Runs a command; gives its exit status and what it says on standard error.
Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["chaingraph", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err.splitlines()

    return command


@pytest.fixture
def guarded(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An API that asks for tokens, where CHAINGRAPH_URL says; gives one that it takes."""
    environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    environ |= {"AUTH_ENABLED": "true", "SECRET_KEY": "k" * 32}
    _, token = token_table.create(database_url, "mine", "mine", "user")
    with served(load_settings(environ)) as url:
        monkeypatch.setenv("CHAINGRAPH_URL", url)
        yield token


def advice_about_the_api() -> str | None:
    [found] = [each for each in examine() if each.what == "api"]
    return found.advice


@pytest.mark.parametrize("sent", ["", "cg_of_somebody_else"])
def test_who_sends_no_good_token_is_told_what_to_set(
    run: Run, guarded: str, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINGRAPH_TOKEN", sent)
    for command in (["executions", "list"], ["executions", "events", "EX1", "--follow"]):
        told = "chaingraph: Unauthorized: A valid token is needed. Set CHAINGRAPH_TOKEN to one"
        assert run(*command) == (1, [told])
    assert advice_about_the_api() == "set CHAINGRAPH_TOKEN to one that is taken"


def test_a_good_token_is_all_that_is_needed(
    run: Run, guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINGRAPH_TOKEN", guarded)
    assert run("executions", "list") == (0, [])
    assert advice_about_the_api() is None
