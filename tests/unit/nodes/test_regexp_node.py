"""RegExpNode: JavaScript's replacements, and no pattern that hangs a worker."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.errors import NodeError
from app.nodes.library import regexp
from app.nodes.registry import builtin_catalogue
from tests.unit.nodes.context import run


def found(text: str, pattern: str, mode: str = "match", **more: Any) -> dict[str, Any]:
    spec = builtin_catalogue()["RegExpNode"]
    return run(spec, sourceText=text, pattern=pattern, mode=mode, **more)


@pytest.mark.parametrize(
    ("replacement", "expected"),
    [
        ("[$&]", "a[bc]d"),
        ("[$1$2]", "a[bc]d"),
        ("[$02]", "a[c]d"),
        ("[$10]", "a[b0]d"),
        ("[$3$0]", "a[$3$0]d"),
        ("[$`|$']", "a[a|d]d"),
        ("$$1", "a$1d"),
        ("[$<last>]", "a[c]d"),
        ("[$<none>]", "a[]d"),
        ("$", "a$d"),
    ],
)
def test_a_replacement_means_what_it_means_in_javascript(replacement: str, expected: str) -> None:
    outputs = found("abcd", "(b)(?<last>c)", "replace", replacementText=replacement)
    assert outputs["result"] == expected


def test_without_names_a_name_is_no_reference() -> None:
    assert found("ab", "(b)", "replace", replacementText="$<x>")["result"] == "a$<x>"


def test_the_default_is_every_match() -> None:
    assert found("a1b2", r"\d")["result"] == "1 2"
    assert found("a1b2", r"\d", flags={})["result"] == "1"


def test_a_group_that_took_no_part_is_replaced_by_nothing() -> None:
    assert found("b", "(a)?b", "replace", replacementText="[$1]")["result"] == "[]"


@pytest.mark.parametrize(
    ("text", "pattern", "message"),
    [
        ("", "a", "sourceText is empty"),
        ("a", "", "pattern is empty"),
        ("a", "(", r"the pattern '\(' can't be read: a group isn't closed"),
    ],
)
def test_what_cannot_be_searched_is_an_error(text: str, pattern: str, message: str) -> None:
    with pytest.raises(NodeError, match=message):
        found(text, pattern)


def test_a_pattern_that_takes_too_long_is_an_error() -> None:
    started = time.process_time()
    with pytest.raises(NodeError, match="the pattern takes too long on this text"):
        found("x" * 5_000, "(x+x+)+y")
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("pattern", "mode", "replacement"),
    [("(?=(.*))", "extract", ""), ("x", "replace", "$'"), ("(?=(.*))", "replace", "$1")],
)
def test_a_result_that_would_fill_the_memory_is_an_error(
    pattern: str, mode: str, replacement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regexp, "MAX_RESULT", 10_000)
    with pytest.raises(NodeError, match="the result is longer than"):
        found("x" * 1_000, pattern, mode, replacementText=replacement)


def test_half_a_character_becomes_a_replacement_character() -> None:
    assert found("🎈", ".", flags={"global": True})["matchCount"] == 2
    assert found("🎈", ".", flags={"global": True, "unicode": True})["result"] == "🎈"
