"""Flows without emitters and streams end as they did on the original engine."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from app.engine import RunOptions
from app.local import LocalResult, run_in_process
from app.nodes.registry import builtin_catalogue
from tests.corpus_cases import FOLDERS, Case, ExpectedNode, all_cases, load_cases

CONTINUE = RunOptions(fail_on_error=False)

#: The statuses there and here.
STATUSES = {
    "completed": {"completed"},
    "error": {"error"},
    "skipped": {"skipped"},
    "initialized": {"skipped", "idle"},
}

#: Node types that leave a case out, by what is not there yet.
LEFT_OUT_TYPES = {
    "EventEmitterNode": "emitters",
    "StreamBufferNode": "streams",
    "OnStreamStarted": "streams",
    "TextStreamNode": "streams",
    "WaitForStream": "streams",
}

#: What the reference leaves out, as it is another each time.
MEASURED = {"actualDuration"}

#: How many cases of a folder run, and how many are left out for which reasons.
COUNTS = {
    "hand": Counter({"run": 60, "emitters": 5, "streams": 1}),
    "random": Counter({"run": 150}),
    "exports": Counter({"run": 1, "emitters": 2}),
}


def why_left_out(case: Case) -> str:
    """What the case needs that is not built, or ''."""
    reasons = {LEFT_OUT_TYPES[kind] for kind in case.node_types & LEFT_OUT_TYPES.keys()}
    if any(port["config"]["type"] == "stream" for port in ports_of(case)):
        reasons.add("streams")
    return ", ".join(sorted(reasons))


def ports_of(case: Case) -> list[dict[str, Any]]:
    return [port for node in case.flow["nodes"] for port in node["ports"]]


def same(expected: Any, actual: Any) -> bool:
    """Whether two values are one: numbers within 1e-9, and a null may be a missing key."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        keys = expected.keys() | actual.keys()
        return all(same(expected.get(key), actual.get(key)) for key in keys)
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(same, expected, actual))
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, int | float) and isinstance(actual, int | float):
        return math.isclose(expected, actual, rel_tol=1e-9)
    return type(expected) is type(actual) and bool(expected == actual)


def differences(node_id: str, expected: ExpectedNode, result: LocalResult) -> list[str]:
    actual = result.nodes[node_id]
    if actual.status not in STATUSES[expected.status]:
        return [f"{node_id} is {actual.status}, not {expected.status}: {actual.error}"]
    if actual.status != "completed":
        return []
    own = {port: value for port, value in expected.outputs.items() if not port.startswith("__")}
    return [
        f"{node_id}.{port} is {actual.outputs.get(port)!r}, not {own.get(port)!r}"
        for port in (own.keys() | actual.outputs.keys()) - MEASURED
        if not same(own.get(port), actual.outputs.get(port))
    ]


RUN = [case for case in all_cases() if not why_left_out(case)]


@pytest.mark.parametrize("case", RUN, ids=[f"{case.folder}-{case.name}" for case in RUN])
def test_a_flow_ends_as_on_the_original(case: Case) -> None:
    result = run_in_process(case.flow, builtin_catalogue(), options=CONTINUE, event=case.event)

    assert case.flow_event == "flow:completed"
    assert result.status == "completed"
    assert result.nodes.keys() == case.nodes.keys()
    assert [
        difference
        for node_id, expected in case.nodes.items()
        for difference in differences(node_id, expected, result)
    ] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_case_is_left_out_but_by_a_rule(folder: str) -> None:
    counted = Counter(why_left_out(case) or "run" for case in load_cases(folder))

    assert counted == COUNTS[folder]
