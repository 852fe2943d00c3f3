"""The flows that the promises are held against. Each ends with an effect, which is counted."""

from __future__ import annotations

from typing import Any

from tests.system.ledger import Ledger, effects_in_a_row

#: The node whose effect is the last.
LAST = "z"


def then(ledger: Ledger, node: dict[str, Any], name: str) -> dict[str, Any]:
    """A flow of one node and an effect after it."""
    effect = effects_in_a_row(ledger.url, [LAST])["nodes"]
    edges = [{"source": f"{node['id']}.__success", "target": f"{LAST}.__execute"}]
    return {"metadata": {"name": name}, "nodes": [node, *effect], "edges": edges}


def nap(ledger: Ledger, duration_ms: int) -> dict[str, Any]:
    """It sleeps, and then has its effect."""
    values = {"duration": duration_ms}
    return then(ledger, {"id": "nap", "type": "SleepNode", "values": values}, "Nap")


def signalled(ledger: Ledger) -> dict[str, Any]:
    """It waits for the signal `go`."""
    values = {"name": "go"}
    return then(ledger, {"id": "wait", "type": "WaitForSignalNode", "values": values}, "Signalled")


def calling(ledger: Ledger, flow_id: str) -> dict[str, Any]:
    """It runs another flow, and waits for that."""
    values = {"flowId": flow_id}
    return then(ledger, {"id": "call", "type": "RunFlowNode", "values": values}, "Calling")


def w5(flow_id: str = "V2reliableW5") -> dict[str, Any]:
    """Five trivial nodes in a row, each with a checkpoint of its own."""
    return {
        "id": flow_id,
        "metadata": {"name": "W5"},
        "nodes": [{"id": f"n{place}", "type": "DebugLogNode"} for place in range(5)],
        "edges": [
            {"source": f"n{place}.__success", "target": f"n{place + 1}.__execute"}
            for place in range(4)
        ],
    }


def lone_nap() -> dict[str, Any]:
    """It sleeps, and nothing else; `duration` is for each execution to say."""
    node = {"id": "nap", "type": "SleepNode"}
    return {"id": "V2reliableNap", "metadata": {"name": "Nap"}, "nodes": [node], "edges": []}
