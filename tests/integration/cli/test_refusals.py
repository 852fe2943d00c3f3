"""What somebody is told who calls the wrong server, or without the right token."""

from __future__ import annotations

import pytest

from app.cli.doctor import examine
from tests.integration.cli.conftest import Run


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
