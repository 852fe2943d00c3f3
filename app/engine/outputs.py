"""What a completed node hands on: by root port id, with the system port that says so."""

from __future__ import annotations

from collections.abc import Mapping

from app.flows.plan import PlanNode
from app.values.ports import SUCCESS, SYSTEM_PORTS, Value


def resolved_outputs(
    node: PlanNode, held: Mapping[str, Value], returned: Mapping[str, Value]
) -> dict[str, Value]:
    """Every root port that a completed node resolves: what it returned, else what it holds."""
    resolved: dict[str, Value] = {SUCCESS: True}
    for port, config in node.ports.items():
        if config.gives_output and port not in SYSTEM_PORTS:
            resolved[port] = returned[port] if port in returned else held.get(port)
    return resolved


def own_outputs(resolved: Mapping[str, Value]) -> dict[str, Value]:
    """The same without the system ports."""
    return {port: value for port, value in resolved.items() if port not in SYSTEM_PORTS}
