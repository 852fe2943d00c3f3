"""Comparisons as JavaScript makes them, cases, gates."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import NodeError
from app.nodes.registry import builtin_catalogue
from app.values.ports import PortConfig, PortType
from tests.unit.nodes.context import FakeContext, run

NODES = builtin_catalogue()

OPPOSITES = {
    "notEquals": "equals",
    "lessThanOrEquals": "greaterThan",
    "greaterThanOrEquals": "lessThan",
    "notContains": "contains",
}


def branch(left: Any, operator: str, right: Any) -> Any:
    spec = NODES["BranchNode"]
    return run(spec, leftValue=left, operator=operator, rightValue=right)["result"]


@pytest.mark.parametrize(
    ("left", "operator", "right", "result"),
    [
        (1, "equals", 1.0, True),
        ("1", "equals", 1, True),
        ("", "equals", 0, True),
        (" 7 ", "equals", 7, True),
        (True, "equals", 1, True),
        (True, "equals", "true", False),
        (False, "equals", "", True),
        ([1], "equals", 1, True),
        ([], "equals", 0, True),
        ([1, 2], "equals", [1, 2], False),
        ({}, "equals", {}, False),
        (None, "equals", None, True),
        (None, "equals", 0, False),
        (None, "equals", "", False),
        ("null", "equals", None, False),
        ("a", "equals", "a", True),
        ("a", "equals", "A", False),
        ("0x10", "equals", 16, True),
        ("Infinity", "equals", "Infinity", True),
        (2, "greaterThan", 10, False),
        ("2", "greaterThan", "10", False),
        ("b", "greaterThan", "a", True),
        ("a", "greaterThan", 1, True),
        (None, "greaterThan", -1, True),
        (None, "greaterThan", "a", False),
        ("🎈", "greaterThan", "｡", False),
        (None, "lessThan", "null", True),
        (None, "lessThan", 0, False),
        (1, "lessThan", 2, True),
        ({}, "lessThan", "a", True),
        ("banana", "contains", "an", True),
        ("banana", "contains", "", True),
        (123, "contains", 2, True),
        ([1, 2], "contains", "1,2", True),
        (None, "contains", "null", False),
        (True, "contains", "ru", True),
        (None, "contains", None, True),
        ("banana", "startsWith", "ba", True),
        ("banana", "startsWith", "an", False),
        (1e21, "startsWith", "1e+", True),
        ("banana", "endsWith", "na", True),
        (None, "endsWith", "", True),
    ],
)
def test_branch(left: Any, operator: str, right: Any, result: bool) -> None:
    assert branch(left, operator, right) is result
    for opposite, of in OPPOSITES.items():
        if of == operator:
            assert branch(left, opposite, right) is not result


def test_an_operator_that_does_not_exist() -> None:
    with pytest.raises(NodeError, match="port 'operator'"):
        branch(1, "like", 2)
    with pytest.raises(NodeError, match="no operator"):
        run(NODES["BranchNode"], operator=None)


def switch(input_: str | None, *cases: str) -> dict[str, Any]:
    properties = {case: PortConfig(PortType.BOOLEAN) for case in cases}
    config = PortConfig(PortType.OBJECT, properties=properties)
    return run(NODES["SwitchNode"], FakeContext(schemas={"caseObject": config}), input=input_)


def test_switch_sets_the_case_that_it_is() -> None:
    assert switch("b", "a", "b") == {"caseObject": {"a": False, "b": True}, "default": False}


@pytest.mark.parametrize("input_", ["c", "", "A", None])
def test_switch_sets_default_for_anything_else(input_: str | None) -> None:
    assert switch(input_, "a", "b") == {"caseObject": {"a": False, "b": False}, "default": True}


def test_switch_without_cases() -> None:
    assert switch("a") == {"caseObject": {}, "default": True}


def test_gate_v2_hands_on_what_arrived() -> None:
    gate = {"gate-input-1": "a", "gate-input-2": 0}
    assert run(NODES["GateNodeV2"], gate=gate) == {"gate": gate}


def test_gate_copies_the_mapped_fields_falsy_ones_too() -> None:
    result = run(
        NODES["GateNode"],
        inputObject={"a": 0, "b": "", "c": False, "d": None, "e": "unmapped"},
        connectionsMap='{"a": "x", "b": "y", "c": "z", "d": "n", "missing": "m"}',
    )
    assert result == {"outputObject": {"x": 0, "y": "", "z": False, "n": None}}


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}'])
def test_gate_with_a_map_that_is_none(text: str) -> None:
    with pytest.raises(NodeError, match="connectionsMap is not"):
        run(NODES["GateNode"], connectionsMap=text)


@pytest.mark.parametrize("is_child", [True, False])
def test_is_root(is_child: bool) -> None:
    context = FakeContext(is_child=is_child)
    assert run(NODES["IsRootExecutionNode"], context) == {"isRoot": not is_child}
