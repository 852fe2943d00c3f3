"""Whether a value has the objects and arrays that a port config speaks of, whatever they hold."""

from __future__ import annotations

from app.values.jsonable import kind_of
from app.values.paths import Path, format_path
from app.values.ports import PortConfig, PortType, Value


def structure_fault(config: PortConfig, value: Value) -> str | None:
    """Give the first place that should be an object or an array and isn't, or None.

    Texts, numbers and booleans may stand for each other here, as they do in the original
    where a document retypes a port; null may stand anywhere, and anything in an `any` port.
    """
    pending: list[tuple[PortConfig, Value, Path]] = [(config, value, ())]
    while pending:
        config, value, path = pending.pop()
        if value is None or config.type not in (PortType.OBJECT, PortType.ARRAY):
            continue
        if not isinstance(value, dict if config.type is PortType.OBJECT else list):
            place = format_path(path) or "it"
            return f"{place} must be an {config.type}, not {kind_of(value)}"
        pending += reversed(_parts(config, value, path))
    return None


def _parts(config: PortConfig, value: Value, path: Path) -> list[tuple[PortConfig, Value, Path]]:
    if isinstance(value, list):
        item = config.item
        if item is None:
            return []
        return [(item, part, (*path, place)) for place, part in enumerate(value)]
    properties = config.properties or {}
    return [
        (part, value[name], (*path, name)) for name, part in properties.items() if name in value
    ]
