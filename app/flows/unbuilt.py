"""What docs/flows.md names as not built yet: refused by name, never ignored.

Whoever builds one of these takes it out of here; nothing else has to change.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.values.ports import PortConfig, PortType

#: Node types that are known and not built.
NOT_BUILT: Mapping[str, str] = {
    "EventEmitterNode": "child executions",
    "RunFlowNode": "child executions",
    "ForEachNode": "child executions",
    "UnencryptedSecret": "secrets",
    "SecretNode": "secrets",
    "LLMCallNode": "secrets",
    "LLMCallWithStructuredOutputNode": "secrets",
}

#: Port types that are known and not built.
_PORT_TYPES: Mapping[PortType, str] = {PortType.SECRET: "secrets"}

#: The only queue that there is; a worker listens to no other.
BUILT_QUEUE = "default"


def unknown_type(node_type: str) -> str:
    """Why a node type that the catalogue lacks is refused."""
    if node_type in NOT_BUILT:
        return f"the node type '{node_type}' is not built yet ({NOT_BUILT[node_type]})"
    return f"unknown node type '{node_type}'"


def unbuilt_port(config: PortConfig) -> str | None:
    """Why a port that a document describes is refused, or None."""
    if config.type in _PORT_TYPES:
        return f"ports of type {config.type} are not built yet"
    inner = [config.item, config.underlying, *(config.properties or {}).values()]
    return next((no for part in inner if part is not None and (no := unbuilt_port(part))), None)
