"""Whether a flow ended as the reference says: statuses, outputs, and when two values are one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from tests.corpus_cases import Case, ExpectedNode

#: The statuses there and here.
STATUSES = {
    "completed": {"completed"},
    "error": {"error"},
    "skipped": {"skipped"},
    "initialized": {"skipped", "idle"},
}

#: What the reference leaves out, as it is another each time.
MEASURED = {"actualDuration"}


class NodeOutcome(Protocol):
    """What became of a node here."""

    @property
    def status(self) -> str: ...
    @property
    def outputs(self) -> Mapping[str, Any]: ...
    @property
    def error(self) -> object: ...


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


def differences(case: Case, outcomes: Mapping[str, NodeOutcome]) -> list[str]:
    """Say in words what differs, node by node; nothing where the case ended as it should."""
    if outcomes.keys() != case.nodes.keys():
        return [f"there are other nodes: {sorted(outcomes.keys() ^ case.nodes.keys())}"]
    return [
        difference
        for node_id, expected in case.nodes.items()
        for difference in _node_differences(node_id, expected, outcomes[node_id])
    ]


def _node_differences(node_id: str, expected: ExpectedNode, actual: NodeOutcome) -> Iterator[str]:
    if actual.status not in STATUSES[expected.status]:
        yield f"{node_id} is {actual.status}, not {expected.status}: {actual.error}"
        return
    if actual.status != "completed":
        return
    own = {port: value for port, value in expected.outputs.items() if not port.startswith("__")}
    for port in sorted((own.keys() | actual.outputs.keys()) - MEASURED):
        if not same(own.get(port), actual.outputs.get(port)):
            yield f"{node_id}.{port} is {actual.outputs.get(port)!r}, not {own.get(port)!r}"
