"""Whatever is sent as a flow is either compiled or refused with faults: no other exception."""

from __future__ import annotations

import copy
import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Fault, ValidationFailed
from app.flows.compile import prepare
from app.flows.inputs import overlay_inputs
from tests.corpus_cases import load_cases
from tests.unit.flows.catalogue import CATALOGUE, exported, flow, node

words = st.sampled_from(
    (
        "", "a", "b", "text", "a.text", "b.text", "text.x[0]", "__execute", "TextNode",
        "GroupNode", "ObjectNode", "OpenNode", "string", "object", "input", "v1", "v2",
        "default", "\0", "\ud800",
    )
)  # fmt: skip
keys = st.sampled_from(
    (
        "id", "type", "metadata", "values", "ports", "retry", "timeoutMs", "queue", "name",
        "outputs", "source", "target", "sourceNodeId", "sourcePortId", "targetNodeId",
        "targetPortId", "text", "config", "value", "schema", "properties", "itemConfig",
        "options", "schemaVersion", "parentNodeId", "systemPorts", "object", "a.text",
        "defaultValue", "maxAttempts",
    )
)  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | words | st.just(10**400)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | words, inner, max_size=4),
    max_leaves=12,
)
nodes = st.fixed_dictionaries(
    {"id": words | anything, "type": words | anything},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"parentNodeId": words | anything}),
        "values": st.dictionaries(words, anything, max_size=3) | anything,
        "ports": st.dictionaries(words, anything, max_size=3) | st.lists(anything, max_size=3),
        "retry": anything,
        "timeoutMs": scalars,
        "queue": scalars,
    },
)
edges = st.fixed_dictionaries({"source": words, "target": words}) | anything
flows = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries({"name": words}, optional={"outputs": anything}),
        "nodes": st.lists(nodes | anything, max_size=4),
        "edges": st.lists(edges, max_size=4),
    },
    optional={"id": scalars},
)


def prepared(raw: Any) -> None:
    """Prepare a document; where it is refused, look at what is said of it."""
    faults: list[Fault] | None = None
    try:
        prepare(raw, CATALOGUE)
    except ValidationFailed as failed:
        faults = failed.faults
    if faults is not None:
        assert faults
        assert all(fault.message for fault in faults)
        assert all(fault.pointer == "" or fault.pointer[0] == "/" for fault in faults)


@given(anything | flows)
@settings(max_examples=400, deadline=None)
def test_arbitrary_json_is_compiled_or_refused(raw: Any) -> None:
    prepared(raw)


@given(anything)
@settings(deadline=None)
def test_arbitrary_inputs_are_taken_or_refused(inputs: Any) -> None:
    plan = prepare(flow(node("a"), node("b", "ObjectNode")), CATALOGUE).plan
    for given_inputs in (inputs, {"a": inputs}, {"b": {"object": inputs, "object.x.y": inputs}}):
        with suppress(ValidationFailed):
            overlay_inputs(plan, given_inputs)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    found, pending = [], [value]
    while pending:
        part = pending.pop()
        keys_of = list(part) if isinstance(part, dict) else range(len(part))
        for key in keys_of:
            found.append((part, key))
            if isinstance(part[key], dict | list):
                pending.append(part[key])
    return found


_MENDED_WITH = (None, 0, -1, 10**400, "", "x", [], {}, True, "\ud800", [[]], {"type": "any"}, 0.5)


def _deep() -> Any:
    value: Any = []
    for _ in range(900):
        value = [value]
    return value


@pytest.mark.parametrize("seed", range(6))
def test_a_document_with_one_part_exchanged_is_compiled_or_refused(seed: int) -> None:
    dice = random.Random(seed)
    case = dice.choice(load_cases("hand"))
    own = flow(
        node("a", values={"text": "x"}, retry={"maxAttempts": 2}, metadata={"parentNodeId": "b"}),
        node(
            "b", "ObjectNode", ports={"object": {"schema": {"properties": {"x": {"type": "any"}}}}}
        ),
        exported("c", "MathNode", [("a", "number", 1)]) if seed % 2 else node("c", "MathNode"),
        edges=["a.text -> b.object.x", {"id": "e", "source": "c.result", "target": "b.object.y"}],
    )
    for original in (own, case.flow):
        for _ in range(150):
            raw = copy.deepcopy(original)
            holder, key = dice.choice(_places(raw))
            if dice.random() < 0.2:
                del holder[key]
            else:
                holder[key] = dice.choice([*_MENDED_WITH, _deep()])
            prepared(raw)
