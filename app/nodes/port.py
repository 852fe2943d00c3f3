"""What a node's author may say of one port beyond its Python type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.values.ports import MISSING, Direction, Missing, PortConfig, PortType, Value


@dataclass(frozen=True, slots=True)
class Port:
    """Stands in `Annotated[type, Port(...)]` of a parameter or of a return type.

    `id` names the port where its name is not the parameter's (`Port("leftValue")`); `min` and
    `max` bound numbers; `min_length` and `max_length` texts and arrays; `type` replaces the
    type that the annotation gives (`"stream"`, `"secret"`), `item` the config of its items.
    `direction="passthrough"` hands a parameter's value on as an output; `mutable=True` lets a
    document change the schema; `default` is the default of an output, or of a parameter that
    can't have one in Python without being shared (a list, an object). `sealed=True` says that
    its values are secrets although its type is another: they are kept encrypted. `lenient=True`
    has a value of another type count as the default, instead of failing the node.
    """

    id: str | None = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    integer: bool | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    options: Sequence[Value] | None = None
    title: str | None = None
    description: str | None = None
    direction: str | None = None
    mutable: bool | None = None
    required: bool | None = None
    default: Value | Missing = MISSING
    type: str | None = None
    item: PortConfig | None = None
    properties: Mapping[str, PortConfig] | None = None
    sealed: bool | None = None
    lenient: bool = False

    def apply(self, config: PortConfig) -> PortConfig:
        """Give `config` with everything that was said here put over it.

        Raises ValueError for a type or direction that doesn't exist.
        """
        said: dict[str, Any] = {
            "minimum": self.min,
            "maximum": self.max,
            "step": self.step,
            "integer": self.integer,
            "min_length": self.min_length,
            "max_length": self.max_length,
            "pattern": self.pattern,
            "options": tuple(self.options) if self.options is not None else None,
            "title": self.title,
            "description": self.description,
            "direction": Direction(self.direction) if self.direction is not None else None,
            "mutable": self.mutable,
            "required": self.required,
            "type": PortType(self.type) if self.type is not None else None,
            "item": self.item,
            "properties": self.properties,
            "sealed": self.sealed,
        }
        changes = {name: value for name, value in said.items() if value is not None}
        if self.options is not None and self.type is None:
            changes["type"] = PortType.ENUM
        if not isinstance(self.default, Missing):
            changes["default"] = self.default
        return replace(config, **changes)
