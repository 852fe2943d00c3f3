"""An execution's options as the store keeps them: complete, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from app.errors import Fault, ValidationFailed

DEFAULT_LIMITS: Mapping[str, Any] = MappingProxyType(
    {
        "maxConcurrency": 50,
        "nodeTimeoutMs": 3_600_000,
        "flowTimeoutMs": 10_800_000,
        "onNodeError": "fail",
    }
)

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"execution": DEFAULT_LIMITS, "debug": False, "breakpoints": (), "priority": 5}
)


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """Lay options over the defaults. Raises ValidationFailed for names that there are not."""
    unknown = [Fault(f"/options/{name}", "is unknown") for name in given if name not in DEFAULTS]
    limits: Mapping[str, Any] = given.get("execution", {})
    unknown += [
        Fault(f"/options/execution/{name}", "is unknown")
        for name in limits
        if name not in DEFAULT_LIMITS
    ]
    if unknown:
        raise ValidationFailed(unknown)
    made = {**DEFAULTS, **given, "execution": {**DEFAULT_LIMITS, **limits}}
    return {**made, "breakpoints": list(made["breakpoints"])}
