"""The promises about nodes that run a flow for each item: each once, and no more at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.simulation.books import Violation

#: The flow that has such a node, the node, how many items it has, and how many run at once.
FLOW, NODE, ITEMS, CONCURRENCY = "V2each", "b", 5, 2

_ENDS = frozenset({"child:completed", "child:failed", "child:stopped"})


def check_fan(execution_id: str, events: Sequence[tuple[str, Any]]) -> None:
    """What an execution has told, from its first event on."""
    if events[0][1]["flowId"] != FLOW:
        return
    unfinished = 0
    for type_, data in events:
        unfinished += (type_ == "child:spawned") - (type_ in _ENDS)
        if unfinished > CONCURRENCY:
            raise Violation(f"{execution_id}: {unfinished} items are unfinished at once")
        if type_ == "node:completed" and data["nodeId"] == NODE:
            _check_results(execution_id, data["outputs"], unfinished)


def _check_results(execution_id: str, outputs: Any, unfinished: int) -> None:
    results, errors = outputs["results"], outputs["errors"]
    missing = [place for place, result in enumerate(results) if result is None]
    failed = [each["index"] for each in errors]
    if len(results) != ITEMS or missing != failed or unfinished:
        raise Violation(f"{execution_id}: {unfinished} items are unfinished, {outputs}")
