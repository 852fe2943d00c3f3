"""What docs/flows.md names as not built yet: refused by name, never ignored.

Whoever builds one of these takes it out of here; nothing else has to change.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Node types that are known and not built.
NOT_BUILT: Mapping[str, str] = {
    "RunFlowNode": "child executions",
}


def unknown_type(node_type: str) -> str:
    """Why a node type that the catalogue lacks is refused."""
    if node_type in NOT_BUILT:
        return f"the node type '{node_type}' is not built yet ({NOT_BUILT[node_type]})"
    return f"unknown node type '{node_type}'"
