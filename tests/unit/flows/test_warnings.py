from __future__ import annotations

from typing import Any

from app.flows.compile import prepare
from tests.unit.flows.catalogue import CATALOGUE, flow, node

NEVER = "can never run: what it waits for can't all come, as a node completes or fails"


def warnings(*nodes: Any, **more: Any) -> dict[str, str]:
    found = prepare(flow(*nodes, **more), CATALOGUE).warnings
    return {warning.pointer: warning.message for warning in found}


def test_a_flow_without_oddities_has_no_warnings() -> None:
    assert warnings(node("a"), node("b"), edges=["a.text -> b.text"]) == {}


def test_a_node_that_is_not_connected_is_named() -> None:
    found = warnings(node("a"), node("b"), node("c"), edges=["a.text -> b.text"])
    assert found == {"/nodes/2": "node 'c' is not connected to anything"}


def test_a_template_is_connected_to_its_parent() -> None:
    child = node("c", metadata={"parentNodeId": "p"})
    assert list(warnings(node("p"), child)) == ["/nodes/0"]


def test_a_deprecated_type_is_named() -> None:
    found = warnings(node("a", "OldNode"), node("b"), edges=["a.text -> b.text"])
    assert found == {"/nodes/0/type": "'OldNode' is deprecated"}


def test_a_node_that_needs_another_both_to_complete_and_to_fail_never_runs() -> None:
    edges = ["a.text -> b.text", "a.__error -> b.__execute", "a.__error -> c.__execute"]
    assert warnings(node("a"), node("b"), node("c"), edges=edges) == {"/nodes/1": NEVER}


def test_what_only_such_a_node_feeds_never_runs_either() -> None:
    found = warnings(
        node("a"),
        node("b"),
        node("c"),
        node("d"),
        edges=[
            "a.text -> b.text",
            "a.__error -> b.__execute",
            "b.text -> c.text",
            "c.text -> d.text",
            "a.text -> d.text",
        ],
    )
    assert found == {"/nodes/1": NEVER, "/nodes/2": NEVER}


def test_the_contradiction_is_found_further_down_too() -> None:
    edges = ["a.__error -> b.__execute", "b.text -> c.text", "a.__success -> c.__execute"]
    assert warnings(node("a"), node("b"), node("c"), edges=edges) == {"/nodes/2": NEVER}


def test_ways_that_differ_are_no_contradiction() -> None:
    edges = [
        "a.__error -> b.__execute",
        "b.text -> c.text",
        "a.text -> c.text",
        "a.__success -> c.__execute",
    ]
    assert warnings(node("a"), node("b"), node("c"), edges=edges) == {}


def test_a_template_never_fails() -> None:
    child = node("c", metadata={"parentNodeId": "p"})
    found = warnings(node("p"), child, edges=["c.__errorMessage -> p.text"])
    assert found == {"/nodes/0": NEVER}


def test_a_cycle_that_is_started_from_outside_is_no_oddity() -> None:
    edges = ["s.text -> a.text", "a.text -> b.text", "b.text -> a.text", "b.__error -> e.__execute"]
    assert warnings(node("s"), node("a"), node("b"), node("e"), edges=edges) == {}
