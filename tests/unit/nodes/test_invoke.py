"""Inputs are checked before a node runs, its outputs after; what comes out is JSON."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest

from app.errors import NodeError
from app.nodes.sdk import Port, node, spec_of
from app.nodes.spec import NodeSpec
from tests.unit.nodes.context import run


def giving(value: Any, port: Port | None = None) -> NodeSpec:
    @node("N", category="c")
    def n() -> Annotated[Any, port or Port("out")]:
        return value

    found = spec_of(n)
    assert found is not None
    return found


@node("BoundedNode", category="c")
def bounded(
    number: Annotated[float, Port(min=0)] = 0,
    text: Annotated[str, Port(max_length=2)] = "",
    word: Annotated[str, Port(options=["a", "b"])] = "a",
) -> None: ...


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"number": -1}, "port 'number'.*at least 0"),
        ({"number": "1"}, "port 'number'.*a number"),
        ({"number": True}, "port 'number'"),
        ({"text": "abc"}, "port 'text'.*at most 2"),
        ({"word": "c"}, "port 'word'.*a, b"),
        ({"number": float("nan")}, "port 'number'"),
    ],
)
def test_an_input_that_its_port_does_not_allow(inputs: dict[str, Any], message: str) -> None:
    found = spec_of(bounded)
    assert found is not None
    with pytest.raises(NodeError, match=message):
        run(found, **inputs)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int


def test_outputs_become_json() -> None:
    value = {"point": Point(1), "pair": (1, Colour.RED), "flag": True, "n": None}
    assert run(giving(value)) == {
        "out": {"point": {"x": 1}, "pair": [1, "red"], "flag": True, "n": None}
    }


def test_an_output_is_a_copy() -> None:
    kept: list[int] = [1]
    out = run(giving(kept))
    kept.append(2)
    assert out == {"out": [1]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "nan"),
        ([1, {"a": float("inf")}], r"\[1\].a is inf"),
        (b"bytes", "of type bytes"),
        ({1: "a"}, "keys are texts"),
        (datetime(2020, 1, 1, tzinfo=UTC), "of type datetime"),
        ("\ud800", "surrogate"),
        ({"\ud800": 1}, "surrogate"),
        (10**400, "too large"),
    ],
)
def test_what_json_can_not_hold_is_a_node_error(value: Any, message: str) -> None:
    with pytest.raises(NodeError, match=f"output 'out'.*{message}"):
        run(giving(value))


def test_a_value_nested_too_deeply() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(NodeError, match="nested deeper"):
        run(giving(value))


def test_an_output_that_its_port_does_not_allow() -> None:
    with pytest.raises(NodeError, match=r"output 'out'.*at most 3"):
        run(giving(4, Port("out", type="number", max=3)))


def test_a_result_that_was_not_promised() -> None:
    @node("N", category="c")
    def n() -> None:
        return 1  # type: ignore[return-value]

    found = spec_of(n)
    assert found is not None
    with pytest.raises(NodeError, match="nothing was promised"):
        run(found)


def test_a_hand_written_node_may_set_its_outputs_only() -> None:
    with pytest.raises(NodeError, match="'other', which is none of its outputs"):
        run(NodeSpec("N", "c", {}, lambda _inputs, _ctx: {"other": 1}))
