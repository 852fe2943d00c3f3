"""The flows that are measured."""

from __future__ import annotations

from typing import Any

#: One does nothing but tell a text; it counts as effectful, so it is checkpointed by itself.
EFFECTFUL = "DebugLogNode"
#: A promise to have no effect, so that several may share a checkpoint.
PURE = "NumberNode"

Document = dict[str, Any]


def row(flow_id: str, node_type: str, length: int) -> Document:
    """So many nodes, each started by the success of the one before."""
    return {
        "id": flow_id,
        "metadata": {"name": flow_id},
        "nodes": [{"id": f"n{place}", "type": node_type} for place in range(length)],
        "edges": [
            {"source": f"n{place}.__success", "target": f"n{place + 1}.__execute"}
            for place in range(length - 1)
        ],
    }


def with_values(document: Document, values: dict[str, Any]) -> Document:
    """The same, each node with these values."""
    nodes = [{**node, "values": values} for node in document["nodes"]]
    return {**document, "nodes": nodes}


def w5() -> Document:
    """W5: five effectful nodes in a row."""
    return row("V2benchW5", EFFECTFUL, 5)


def w5_pure() -> Document:
    """The same with pure nodes."""
    return row("V2benchPure", PURE, 5)
