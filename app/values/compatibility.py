"""Which port may feed which (docs/flows.md, Ports), and what stands inside a port."""

from __future__ import annotations

from app.values.paths import Path
from app.values.ports import PortConfig, PortType

_ANYTHING = PortConfig(PortType.ANY)


class Comparison:
    """Says which ports may feed which; two objects are compared once, however many edges ask."""

    def __init__(self) -> None:
        # By identity; both are kept along, so that no other one takes their places in memory.
        self._known: dict[tuple[int, int], tuple[PortConfig, PortConfig, bool]] = {}

    def can_feed(self, source: PortConfig, target: PortConfig) -> bool:
        """Whether an edge may lead from one port to the other, by their types."""
        if target.type is PortType.ANY:
            return True
        if source.type is PortType.ANY:
            return source.underlying is not None and self.can_feed(source.underlying, target)
        if source.type is not target.type:
            return False
        if source.type is PortType.OBJECT:
            return self._has_properties_of(source, target)
        if source.type in (PortType.ARRAY, PortType.STREAM):
            return self.can_feed(source.item or _ANYTHING, target.item or _ANYTHING)
        return True

    def _has_properties_of(self, source: PortConfig, target: PortConfig) -> bool:
        ends = id(source), id(target)
        if ends not in self._known:
            owned = source.properties or {}
            has_them = all(
                name in owned and self.can_feed(owned[name], wanted)
                for name, wanted in (target.properties or {}).items()
            )
            self._known[ends] = source, target, has_them
        return self._known[ends][2]


def config_at(root: PortConfig, path: Path) -> PortConfig | None:
    """The config of the place inside a port that `path` names; None if it has no such place.

    `path` begins with the root port's own id, which isn't looked at. Inside `any`, and inside
    an object without named properties, every place exists and is `any`. Directions are the
    root's: what a child says of its own isn't asked.
    """
    config = root
    for step in path[1:]:
        inner = _inside(config, step)
        if inner is None:
            return None
        config = inner
    return config


def _inside(config: PortConfig, step: str | int) -> PortConfig | None:
    if config.type is PortType.ANY:
        return _ANYTHING if config.underlying is None else _inside(config.underlying, step)
    if isinstance(step, int):
        return config.item or _ANYTHING if config.type is PortType.ARRAY else None
    if config.type is not PortType.OBJECT:
        return None
    return config.properties.get(step) if config.properties else _ANYTHING
