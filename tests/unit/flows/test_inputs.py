from __future__ import annotations

import copy
from typing import Any

import pytest

from app.errors import ValidationFailed
from app.flows.compile import prepare
from app.flows.inputs import overlay_inputs
from tests.unit.flows.catalogue import CATALOGUE, flow, node

PLAN = prepare(
    flow(
        node("a"),
        node("t", "TemplateNode", values={"variables": {"who": {"name": "Ada"}, "n": 1}}),
        node("m", "MathNode"),
    ),
    CATALOGUE,
).plan


def faults(inputs: Any) -> dict[str, str]:
    with pytest.raises(ValidationFailed) as failed:
        overlay_inputs(PLAN, inputs)
    return {fault.pointer: fault.message for fault in failed.value.faults}


def test_inputs_replace_what_is_stored_by_node_number() -> None:
    inputs = {"a": {"text": "x", "__execute": False}, "m": {"a": 0}}
    assert overlay_inputs(PLAN, inputs) == {0: {"text": "x", "__execute": False}, 2: {"a": 0}}
    assert overlay_inputs(PLAN, {}) == {}


def test_a_path_changes_one_place_of_a_copy() -> None:
    stored = copy.deepcopy(PLAN.nodes[1].values)
    overlaid = overlay_inputs(PLAN, {"t": {"variables.who.name": "Bob"}})
    assert overlaid == {1: {"variables": {"who": {"name": "Bob"}, "n": 1}}}
    assert PLAN.nodes[1].values == stored


def test_a_path_is_laid_over_a_whole_value_of_the_same_inputs() -> None:
    given = {"variables.b": 2, "variables": {"a": 1}}
    inputs = {"t": given}
    assert overlay_inputs(PLAN, inputs) == {1: {"variables": {"a": 1, "b": 2}}}
    assert given == {"variables.b": 2, "variables": {"a": 1}}


def test_unknown_nodes_and_ports_outputs_and_bad_values_are_all_named() -> None:
    inputs = {
        "zz": {},
        "a": {"nope": 1, "__success": True, "text": 7},
        "m": {"result": 1, "operation": "guess", "a": float("nan")},
        "t": 5,
    }
    assert faults(inputs) == {
        "/inputs/zz": "there is no node 'zz'",
        "/inputs/a/nope": "node 'a' (TextNode) has no port 'nope'",
        "/inputs/a/__success": "'__success' is an output",
        "/inputs/a/text": "must be a string, not a number",
        "/inputs/m/result": "'result' is an output",
        "/inputs/m/operation": "must be one of add, divide",
        "/inputs/m/a": "is nan, which JSON can't hold",
        "/inputs/t": "must be an object, not a number",
    }
    assert faults([]) == {"/inputs": "must be an object, not an array"}


def test_pointers_are_escaped() -> None:
    assert list(faults({"a/b~c": {}})) == ["/inputs/a~1b~0c"]
