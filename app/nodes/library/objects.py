"""Nodes that look into objects, merge them, and wrap and unwrap values."""

from __future__ import annotations

from typing import Annotated, Any

from app.nodes.library.arrays import CATEGORY
from app.nodes.sdk import Port, node
from app.values.fields import present, read_field
from app.values.merging import merge
from app.values.ports import Value

_PASS = Port(direction="passthrough")


def _object_port(port: str | None = None) -> Port:
    return Port(port, direction="passthrough", mutable=True, default={})


@node("ObjectKeysNode", category=CATEGORY, effects=False, tags=("object", "keys"))
def object_keys(
    object: Annotated[dict[str, Any] | None, _object_port()],  # noqa: A002 - the port's id
) -> Annotated[list[str], Port("keys", default=[])]:
    """Lists the names of an object's fields.

    Ports: `object` the object, `keys` the names, in the object's order.
    """
    return list(object or {})


@node("ObjectValuesNode", category=CATEGORY, effects=False, tags=("object", "values"))
def object_values(
    object: Annotated[dict[str, Any] | None, _object_port()],  # noqa: A002 - the port's id
) -> Annotated[list[Any], Port("values", default=[])]:
    """Lists the values of an object's fields.

    Ports: `object` the object, `values` what its fields hold, in the object's order.
    """
    return list((object or {}).values())


@node("TypeFocusNode", category=CATEGORY, effects=False, tags=("object", "field", "path"))
def type_focus(
    source: Annotated[Any, Port(direction="passthrough", mutable=True)] = None,
    path: str | None = "",
) -> Annotated[Any, Port("focused")]:
    """Takes what stands at a path.

    Ports: `source` the value to look into, `path` the place, such as a.b[0] ('': all of it),
    `focused` what stands there, null if there is nothing.
    """
    return present(read_field(path).of(source))


@node("TypeMergeNode", category=CATEGORY, effects=False, tags=("object", "merge"))
def type_merge(
    type_a: Annotated[dict[str, Any] | None, _object_port("typeA")],
    type_b: Annotated[dict[str, Any] | None, _object_port("typeB")],
) -> Annotated[dict[str, Any], Port("merged", default={})]:
    """Merges two objects, and objects in them too; where both have a field, B's counts.

    Ports: `typeA` the first object, `typeB` the second one, `merged` both.
    """
    merged: dict[str, Value] = merge(type_a or {}, type_b or {})
    return merged


@node("TypeUnwrapNode", category=CATEGORY, effects=False, tags=("array", "item", "unwrap"))
def type_unwrap(
    container: Annotated[Any, _PASS] = None,
) -> Annotated[Any, Port("element")]:
    """Takes the first item out of an array: the reverse of TypeWrapNode.

    Ports: `container` the array, `element` its first item, null if there is none.
    """
    return container[0] if isinstance(container, list) and container else None


@node("TypeWrapNode", category=CATEGORY, effects=False, tags=("array", "item", "wrap"))
def type_wrap(
    element: Annotated[Any, _PASS] = None,
) -> Annotated[list[Any], Port("wrapped", default=[])]:
    """Makes an array of one item.

    Ports: `element` the item, `wrapped` the array.
    """
    wrapped: list[Value] = [element]
    return wrapped
