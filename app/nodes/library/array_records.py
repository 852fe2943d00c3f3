"""Nodes on arrays of objects: fields picked, renamed, embedded, zipped."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Annotated, Any, Literal, TypedDict

from app.nodes.library.arrays import CATEGORY, Items, Result, items_port
from app.nodes.sdk import NodeContext, Port, node
from app.values.fields import present, read_field
from app.values.ports import MISSING, PortConfig, PortType, Value

LengthStrategy = Literal["shortest", "longest", "first", "second"]

#: From where to where a field goes.
FieldMapping = TypedDict("FieldMapping", {"from": str, "to": str}, total=False)

_PAIR = PortConfig(
    PortType.OBJECT,
    properties={"a": PortConfig(PortType.ANY), "b": PortConfig(PortType.ANY)},
)


@node("ArrayEmbedNode", category=CATEGORY, effects=False, tags=("array", "object", "wrap"))
def array_embed(array: Items, path: str | None = "") -> Result:
    """Puts each item into an object of its own.

    Ports: `array` the items, `path` where they go, such as a.b[0] ('': the field "value"),
    `result` the objects.
    """
    field = read_field(path or "value")
    embedded: list[dict[str, Value]] = [{} for _ in array or []]
    for target, item in zip(embedded, array or [], strict=True):
        field.put(target, item)
    return embedded


@node("ArrayPickNode", category=CATEGORY, effects=False, tags=("array", "object", "fields"))
def array_pick(
    ctx: NodeContext,
    array: Items,
    pick_schema: Annotated[dict[str, Any] | None, Port("pickSchema", mutable=True, default={})],
) -> Result:
    """Keeps some fields of each object and drops the others.

    Ports: `array` the objects, `pickSchema` has the fields to keep, whatever their values (one
    without any keeps all), `result` the objects with these fields.
    """
    schema = ctx.schema("pickSchema").properties or dict.fromkeys(pick_schema or {})
    return [_picked(item, schema) for item in array or []]


@node("ArrayPluckNode", category=CATEGORY, effects=False, tags=("array", "object", "field"))
def array_pluck(array: Items, path: str | None = "") -> Result:
    """Takes one field out of each item.

    Ports: `array` the items, `path` the field, such as a.b[0] ('': the item itself), `result`
    what stands there in each, null where there is nothing.
    """
    field = read_field(path)
    return [present(field.of(item)) for item in array or []]


@node("ArrayRemapNode", category=CATEGORY, effects=False, tags=("array", "object", "rename"))
def array_remap(
    source: Items,
    mappings: Annotated[list[FieldMapping] | None, Port(mutable=True, default=[], lenient=True)],
) -> Result:
    """Makes a new object of each item, with fields under other names.

    Ports: `source` the items, `mappings` the fields: "from" is a path in the item ('': the item
    itself), "to" one in the new object; what an item lacks is left out. `result` the new objects.
    """
    fields = [
        (read_field(mapping.get("from")), read_field(mapping.get("to") or mapping.get("from")))
        for mapping in mappings or []
    ]
    remapped: list[dict[str, Value]] = [{} for _ in source or []]
    for target, item in zip(remapped, source or [], strict=True):
        for origin, destination in fields:
            value = origin.of(item)
            if value is not MISSING:
                destination.put(target, value)
    return remapped


@node("ArrayZipNode", category=CATEGORY, effects=False, tags=("array", "zip", "pair"))
def array_zip(
    array_a: Annotated[list[Any] | None, items_port("arrayA")],
    array_b: Annotated[list[Any] | None, items_port("arrayB")],
    length_strategy: Annotated[LengthStrategy | None, Port("lengthStrategy")] = "shortest",
) -> Annotated[list[Any], Port("result", mutable=True, default=[], item=_PAIR)]:
    """Pairs the items of two arrays by their place.

    Ports: `arrayA` gives the fields "a", `arrayB` the fields "b", `lengthStrategy` how many
    pairs there are where one array is longer, `result` the objects {a, b}; an array that is
    too short gives no field.
    """
    a, b = array_a or [], array_b or []
    pairs = zip_longest(a, b, fillvalue=MISSING)
    wanted = {"longest": max(len(a), len(b)), "first": len(a), "second": len(b)}
    length = wanted.get(length_strategy or "", min(len(a), len(b)))
    return [
        {name: value for name, value in (("a", left), ("b", right)) if value is not MISSING}
        for left, right in list(pairs)[:length]
    ]


@node("ArrayZipMergeNode", category=CATEGORY, effects=False, tags=("array", "zip", "merge"))
def array_zip_merge(
    array_a: Annotated[list[Any] | None, items_port("arrayA")],
    array_b: Annotated[list[Any] | None, items_port("arrayB")],
) -> Result:
    """Merges the objects of two arrays by their place; where both have a field, B's counts.

    Ports: `arrayA` the first objects, `arrayB` the second ones, `result` the merged ones, as
    many as the longer array has.
    """
    pairs = zip_longest(array_a or [], array_b or [], fillvalue=MISSING)
    return [_merged(left, right) for left, right in pairs]


def _picked(item: Value, schema: Mapping[str, PortConfig | None]) -> Value:
    """The item's fields that the schema has, and of objects in them theirs in turn."""
    if not schema:
        return item
    if not isinstance(item, dict):
        return {}
    return {
        name: _picked(item[name], config.properties or {})
        if config and isinstance(item[name], dict)
        else item[name]
        for name, config in schema.items()
        if name in item
    }


def _merged(left: Value, right: Value) -> Value:
    if isinstance(left, dict) and isinstance(right, dict):
        return {**left, **right}
    return left if right is MISSING else right
