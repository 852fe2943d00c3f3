"""What a command ends with, and what it says, when something is wrong."""

from __future__ import annotations

import pytest

from app.cli.statuses import error_lines, status_of
from app.client import ApiProblem, ServerUnreachable, UnexpectedAnswer, WaitTimeout
from app.client.shapes import Fault
from app.errors import ChainGraphError, SettingsError, StoreUnavailable


def problem(status: int) -> ApiProblem:
    return ApiProblem(status, "CODE", "why", [Fault("/a", "b"), Fault("", "c")], "Title")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SettingsError("s"), 2),
        (ServerUnreachable("s"), 3),
        (UnexpectedAnswer("s"), 3),
        (StoreUnavailable("s"), 3),
        (WaitTimeout("s"), 1),
        (ChainGraphError("s"), 1),
        (problem(422), 2),
        (problem(400), 2),
        (problem(413), 2),
        (problem(401), 1),
        (problem(404), 1),
        (problem(409), 1),
        (problem(500), 1),
        (problem(503), 3),
    ],
)
def test_the_status_tells_what_sort_of_error_it_was(error: ChainGraphError, status: int) -> None:
    assert status_of(error) == status


def test_a_problem_is_a_line_and_one_for_each_fault() -> None:
    assert list(error_lines(problem(422))) == ["chaingraph: Title: why", "  /a: b", "  /: c"]
    assert list(error_lines(ApiProblem(409, "CODE", "why"))) == ["chaingraph: CODE: why"]


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (ServerUnreachable("http://x can't be reached: refused"), "start it with `chaingraph dev`"),
        (UnexpectedAnswer("http://x answers 404"), "does CHAINGRAPH_URL name another server?"),
        (ApiProblem(401, "UNAUTHORIZED", "A valid token is needed."), "Set CHAINGRAPH_TOKEN"),
    ],
)
def test_who_is_new_is_told_what_to_do(error: ChainGraphError, advice: str) -> None:
    [line] = error_lines(error)
    assert line.startswith("chaingraph: ")
    assert advice in line


def test_another_error_is_a_line() -> None:
    assert list(error_lines(SettingsError("X=1 is wrong"))) == ["chaingraph: X=1 is wrong"]
