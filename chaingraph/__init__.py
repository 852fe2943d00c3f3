"""What users import: the client, what a node is written with, and how both are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.client import Client
from app.nodes.sdk import NodeContext, Port, node

if TYPE_CHECKING:
    from app.local.node_trial import run_node
    from app.local.trial import run_flow

__all__ = ["Client", "NodeContext", "Port", "node", "run_flow", "run_node"]


def __getattr__(name: str) -> Any:
    # What runs a flow is the server's, which the client alone does without.
    if name == "run_flow":
        from app.local.trial import run_flow

        return run_flow
    if name == "run_node":
        from app.local.node_trial import run_node

        return run_node
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
