"""Every built-in node does alone what it did in the flows of the reference outcomes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from app.errors import NodeError
from app.nodes.invoke import run_node_function
from app.nodes.registry import builtin_catalogue
from app.nodes.spec import NodeSpec
from app.values.codec import port_from_json
from app.values.merging import merge
from app.values.paths import get_path, parse_path
from app.values.ports import MISSING
from tests.corpus_cases import Case, ExpectedNode, all_cases
from tests.unit.nodes.context import FakeContext

#: What these do depends on more than their inputs, or takes time.
NOT_ALONE = {
    "EventEmitterNode",
    "EventListenerNodeV2",
    "GroupNode",
    "IsRootExecutionNode",
    "SleepNode",
}

#: An output that the port of the document refuses, where the type's own port would take it.
REFUSED_BY_DOCUMENT = {("random-0319", "arrayconcat21")}

#: Fewer would mean that this module reads the corpus wrongly.
LEAST_RUNS = 1_800


@dataclass(frozen=True)
class Run:
    """One node of a case with everything that reached it."""

    case: str
    node: dict[str, Any]
    inputs: dict[str, Any]
    expected: ExpectedNode


def known_runs() -> Iterator[Run]:
    for case in all_cases():
        for node in case.flow["nodes"]:
            expected = case.nodes[node["id"]]
            ran = expected.status in ("completed", "error")
            if node["type"] in NOT_ALONE or not ran:
                continue
            inputs = inputs_of(case, node)
            if inputs is not None and (case.name, node["id"]) not in REFUSED_BY_DOCUMENT:
                yield Run(case.name, node, inputs, expected)


def inputs_of(case: Case, node: dict[str, Any]) -> dict[str, Any] | None:
    """The values that the node saw; None where the case alone doesn't tell."""
    inputs = {port["config"]["id"]: port.get("value", MISSING) for port in node["ports"]}
    inputs = {port: value for port, value in inputs.items() if value is not MISSING}
    edges = [edge for edge in case.flow["edges"] if edge["targetNodeId"] == node["id"]]
    targets = Counter(edge["targetPortId"] for edge in edges)
    for edge in edges:
        target = edge["targetPortId"]
        if target == "__execute":
            continue
        source = case.nodes[edge["sourceNodeId"]]
        path = parse_path(edge["sourcePortId"])
        value = get_path(source.outputs, path) if source.status == "completed" else MISSING
        if value is MISSING or targets[target] > 1 or target not in inputs:
            return None
        inputs[target] = merge(inputs[target], value)
    return inputs


def of_input_ports(run: Run) -> dict[str, Any]:
    ports = builtin_catalogue()[run.node["type"]].ports
    return {
        port: value
        for port, value in run.inputs.items()
        if port in ports and ports[port].takes_input
    }


def context_of(run: Run) -> FakeContext:
    configs = {port["config"]["id"]: port["config"] for port in run.node["ports"]}
    return FakeContext(
        schemas={port: port_from_json(raw, lenient=True) for port, raw in configs.items()}
    )


def same(expected: Any, actual: Any) -> bool:
    if isinstance(expected, dict) and isinstance(actual, dict):
        keys = expected.keys() | actual.keys()
        return all(same(expected.get(key), actual.get(key)) for key in keys)
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(same, expected, actual))
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, int | float) and isinstance(actual, int | float):
        return math.isclose(expected, actual, rel_tol=1e-9)
    return bool(expected == actual)


def outcome(spec: NodeSpec, run: Run) -> tuple[str, dict[str, Any]]:
    try:
        return "completed", run_node_function(spec, of_input_ports(run), context_of(run))
    except NodeError as error:
        return "error", {"__errorMessage": error.message}


RUNS = list(known_runs())


@pytest.mark.parametrize("node_type", sorted({run.node["type"] for run in RUNS}))
def test_a_node_does_what_the_original_did(node_type: str) -> None:
    spec = builtin_catalogue()[node_type]
    for run in RUNS:
        if run.node["type"] != node_type:
            continue
        where = f"{run.case}, {run.node['id']}, {run.inputs}"
        status, outputs = outcome(spec, run)
        assert status == run.expected.status, f"{where}: {outputs}"
        for port, value in run.expected.outputs.items():
            if status == "completed" and not port.startswith("__"):
                assert same(value, outputs.get(port)), f"{where}: {port} is {outputs.get(port)}"


def test_the_corpus_was_read() -> None:
    assert len(RUNS) >= LEAST_RUNS
