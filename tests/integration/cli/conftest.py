from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from app.cli import main, token_table
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
