"""What a completed node hands on: by root port id, with the system port that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.values.ports import SUCCESS, SYSTEM_PORTS, Value


def resolved_outputs(
    ports: Iterable[str], held: Mapping[str, Value], returned: Mapping[str, Value]
) -> dict[str, Value]:
    """What a completed node resolves at these root ports: what it returned, else what it holds."""
    resolved: dict[str, Value] = {SUCCESS: True}
    for port in ports:
        resolved[port] = returned[port] if port in returned else held.get(port)
    return resolved


def own_outputs(resolved: Mapping[str, Value]) -> dict[str, Value]:
    """The same without the system ports."""
    return {port: value for port, value in resolved.items() if port not in SYSTEM_PORTS}
