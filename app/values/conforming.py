"""Cuts a value that came from outside to a schema: known fields only, of the right types."""

from __future__ import annotations

from dataclasses import replace

from app.values.checks import check_value
from app.values.ports import PortConfig, PortType, Value


class Misfit(ValueError):
    """The value isn't what the schema says; the message says where."""


def conform(
    schema: PortConfig, value: Value, *, ignore_missing: bool = False, where: str = ""
) -> Value:
    """Give the value with the schema's fields only.

    A field that is missing is a Misfit unless `ignore_missing`, and so is a wrong type. Null
    fits where the schema doesn't require a value.
    """
    schema = schema.underlying or schema if schema.type is PortType.ANY else schema
    # Its parts are checked one by one below, without the fields that are dropped.
    unfit = check_value(replace(schema, properties=None, item=None), _outline(value))
    if unfit is not None:
        raise Misfit(f"{where or 'the value'}: {unfit}")
    if isinstance(value, dict) and schema.properties:
        return _fields(schema, value, ignore_missing, where)
    if isinstance(value, list) and schema.item is not None:
        item = schema.item
        return [
            conform(item, part, ignore_missing=ignore_missing, where=f"{where}[{at}]")
            for at, part in enumerate(value)
        ]
    return value


def _fields(
    schema: PortConfig, value: dict[str, Value], ignore_missing: bool, where: str
) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for name, config in (schema.properties or {}).items():
        place = f"{where}.{name}" if where else name
        if name in value:
            fields[name] = conform(config, value[name], ignore_missing=ignore_missing, where=place)
        elif not ignore_missing:
            raise Misfit(f"{place} is missing")
    return fields


def _outline(value: Value) -> Value:
    """The value without what an object holds; an array's length may have bounds."""
    if isinstance(value, list):
        return [None] * len(value)
    return {} if isinstance(value, dict) else value
