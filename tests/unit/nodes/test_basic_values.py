"""Nodes that hold a value hand it on, falsy ones and null too."""

from __future__ import annotations

from typing import Any

import pytest

from app.nodes.registry import builtin_catalogue
from app.values.ports import Direction
from tests.unit.nodes.context import run

CASES = [
    ("TextNode", "text", "", "a"),
    ("MarkdownTextNode", "text", "", "# a"),
    ("NumberNode", "num", 0, 2.5),
    ("BooleanNode", "flag", False, True),
    ("HTMLPreviewNode", "html", "<p></p>", "<b>x</b>"),
    ("ObjectNode", "object", {}, {"a": [1, None]}),
    ("ArrayNode", "array", [], [1, "a"]),
]


@pytest.mark.parametrize(("type_", "port", "default", "value"), CASES)
def test_they_hand_on_what_they_hold(type_: str, port: str, default: Any, value: Any) -> None:
    spec = builtin_catalogue()[type_]
    assert spec.category == "basic-values"
    assert not spec.effects
    assert spec.ports[port].direction is Direction.PASSTHROUGH
    assert run(spec) == {port: default}
    assert run(spec, **{port: value}) == {port: value}
    assert run(spec, **{port: None}) == {port: None}


def test_the_item_schema_of_an_array_is_handed_on() -> None:
    spec = builtin_catalogue()["ArrayNode"]
    assert run(spec, itemSchema={"a": 1}, array=[]) == {"itemSchema": {"a": 1}, "array": []}
    assert spec.ports["array"].mutable
