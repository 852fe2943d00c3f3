"""Cuts a value that came from outside to a schema: known fields only, of the right types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from app.values.bounds import Bounds, PatternTime
from app.values.checks import Trail, path_of, value_faults
from app.values.paths import format_path
from app.values.ports import PortConfig, PortType, Value


class Misfit(ValueError):
    """The value isn't what the schema says; the message says where."""


def conform(schema: PortConfig, value: Value, *, ignore_missing: bool = False) -> Value:
    """Give the value with the schema's fields only.

    A field that is missing is a Misfit unless `ignore_missing`, and so is a wrong type. Null
    fits where the schema doesn't require a value. All patterns share one limit of time.
    """
    return _Fitting(ignore_missing).fit(schema, value, None)


class _Fitting:
    """Cuts one value; what it makes of a part of the schema is made once, however many items."""

    def __init__(self, ignore_missing: bool) -> None:
        self._ignore_missing = ignore_missing
        self._bounds = Bounds(PatternTime())
        # By identity: the parts are held by the schema.
        self._outlines: dict[int, PortConfig] = {}

    def fit(self, schema: PortConfig, value: Value, trail: Trail) -> Value:
        """The part of the value that `trail` leads to, cut to the schema; raises Misfit."""
        schema = schema.underlying or schema if schema.type is PortType.ANY else schema
        fault = next(value_faults(self._alone(schema), _outline(value), self._bounds), None)
        if fault is not None:
            raise Misfit(f"{_shown(trail) or 'the value'}: {fault.sentence()}")
        if isinstance(value, dict) and schema.properties:
            return self._fields(schema.properties, value, trail)
        if isinstance(value, list) and schema.item is not None:
            item = schema.item
            return [self.fit(item, part, (trail, at)) for at, part in enumerate(value)]
        return value

    def _alone(self, schema: PortConfig) -> PortConfig:
        """The schema without its parts: those are checked one by one, without what is dropped."""
        outline = self._outlines.get(id(schema))
        if outline is None:
            outline = replace(schema, properties=None, item=None)
            self._outlines[id(schema)] = outline
        return outline

    def _fields(
        self, properties: Mapping[str, PortConfig], value: dict[str, Value], trail: Trail
    ) -> dict[str, Value]:
        fields: dict[str, Value] = {}
        for name, config in properties.items():
            if name in value:
                fields[name] = self.fit(config, value[name], (trail, name))
            elif not self._ignore_missing:
                raise Misfit(f"{_shown((trail, name))} is missing")
        return fields


def _shown(trail: Trail) -> str:
    return format_path(path_of(trail))


def _outline(value: Value) -> Value:
    """The value without what an object holds; an array's length may have bounds."""
    if isinstance(value, list):
        return [None] * len(value)
    return {} if isinstance(value, dict) else value
