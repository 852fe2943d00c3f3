"""What config a port needs to hold values such as a given one."""

from __future__ import annotations

from app.values.ports import Direction, PortConfig, PortType, Value

#: Levels that are looked into; what lies deeper may be anything.
MAX_DEPTH = 50


def infer_config(value: Value, direction: Direction = Direction.INPUT) -> PortConfig:
    """Give the config of a port that allows `value`, with every field that it has."""
    return _inferred(value, direction, 0)


def _inferred(value: Value, direction: Direction, depth: int) -> PortConfig:
    if depth > MAX_DEPTH or value is None:
        return PortConfig(PortType.ANY, direction)
    if isinstance(value, dict):
        fields = {key: _inferred(part, direction, depth + 1) for key, part in value.items()}
        return PortConfig(PortType.OBJECT, direction, properties=fields)
    if isinstance(value, list):
        return PortConfig(PortType.ARRAY, direction, item=_item(value, direction, depth + 1))
    if isinstance(value, bool):
        return PortConfig(PortType.BOOLEAN, direction)
    if isinstance(value, str):
        return PortConfig(PortType.STRING, direction)
    return PortConfig(PortType.NUMBER, direction)


def _item(items: list[Value], direction: Direction, depth: int) -> PortConfig:
    """The config that all items share; `any` where they differ."""
    configs = [_inferred(item, direction, depth) for item in items]
    if configs and all(config == configs[0] for config in configs):
        return configs[0]
    return PortConfig(PortType.ANY, direction)
