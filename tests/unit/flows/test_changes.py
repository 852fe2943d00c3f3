"""Which nodes another version of a flow has changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from app.flows.changes import changed_nodes
from tests.unit.engine.graphs import flow, group, inside, listener, node, plan_of

DOCUMENT = flow(
    [
        node("a", values={"a": 1}),
        "b",
        group("g"),
        inside("c", "g"),
        "d",
        listener("e", "x"),
    ],
    ["a.out > b.a", "b.out > c.a", "a.out > c.a", "c.out > d.parts.x"],
)

Edit = Callable[[dict[str, Any]], None]


def changed(edit: Edit) -> set[str]:
    mended = copy.deepcopy(DOCUMENT)
    edit(mended)
    old, new = plan_of(DOCUMENT), plan_of(mended)
    return {new.nodes[index].id for index in changed_nodes(old, new)}


def of(document: dict[str, Any], node_id: str) -> dict[str, Any]:
    [found] = [each for each in document["nodes"] if each["id"] == node_id]
    assert isinstance(found, dict)
    return found


def test_the_same_flow_has_changed_nothing() -> None:
    assert changed(lambda _: None) == set()


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda d: of(d, "a").update(values={"a": 2}), {"a"}),
        (lambda d: of(d, "a").update(values={"a": 1.0}), {"a"}),
        (lambda d: of(d, "a").update(values={"a": True}), {"a"}),
        (lambda d: of(d, "b").update(values={"__execute": False}), {"b"}),
        (lambda d: of(d, "b").update(type="HolderNode"), {"b"}),
        (lambda d: of(d, "e").update(values={"eventName": "y"}), {"e"}),
        (lambda d: of(d, "c").pop("metadata"), {"g"}),
        (lambda d: of(d, "d").update(metadata={"parentNodeId": "g"}), {"g"}),
        (lambda d: of(d, "d").update(metadata={"parentNodeId": "b"}), {"d"}),
        (lambda d: d["nodes"].insert(0, node("new")), {"new"}),
        (lambda d: d["edges"].pop(), {"d"}),
        (lambda d: d["edges"].append({"source": "b.out", "target": "d.a"}), {"d"}),
        # Of two edges into one port the first that resolves delivers.
        (lambda d: d["edges"].reverse(), {"c"}),
        (lambda d: d["edges"].__setitem__(0, {"source": "a.kept", "target": "b.a"}), {"b"}),
        (lambda d: d["edges"].__setitem__(3, {"source": "c.out", "target": "d.parts.y"}), {"d"}),
    ],
)
def test_what_a_node_is_or_is_given_counts(edit: Edit, expected: set[str]) -> None:
    assert changed(edit) == expected


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d["nodes"].reverse(),
        lambda d: d["metadata"].update(name="other"),
        lambda d: of(d, "a").update(timeoutMs=5, retry={"maxAttempts": 3}, queue="slow"),
        lambda d: of(d, "a").update(metadata={"ui": {"x": 1}}),
        lambda d: of(d, "a").update(values={"a": 1, "b": None}),
        lambda d: [each.update(id=f"edge{at}") for at, each in enumerate(d["edges"])],
    ],
)
def test_how_it_is_run_and_shown_does_not(edit: Edit) -> None:
    assert changed(edit) == set()
