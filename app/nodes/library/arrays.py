"""Nodes that take arrays apart and put them together, whatever their items are."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from app.errors import NodeError
from app.nodes.sdk import Port, node

CATEGORY = "transforms"


def items_port(port: str | None = None) -> Port:
    """An array that the node also hands on; what isn't an array counts as an empty one."""
    return Port(port, direction="passthrough", mutable=True, default=[], lenient=True)


#: Null counts as an empty array.
Items = Annotated[list[Any] | None, items_port()]
Result = Annotated[list[Any], Port("result", mutable=True, default=[])]


class EndOfArray(NamedTuple):
    """An item, and whether there was none."""

    element: Any
    is_empty: Annotated[bool, Port("isEmpty", default=True)]


@node("ArrayConcatNode", category=CATEGORY, effects=False, tags=("array", "concat", "join"))
def array_concat(
    array_a: Annotated[list[Any] | None, items_port("arrayA")],
    array_b: Annotated[list[Any] | None, items_port("arrayB")],
) -> Result:
    """Puts one array behind another.

    Ports: `arrayA` comes first, `arrayB` second, `result` the items of both.
    """
    return (array_a or []) + (array_b or [])


@node("ArrayElementNode", category=CATEGORY, effects=False, tags=("array", "item", "index"))
def array_element(
    array: Items, index: Annotated[int, Port(direction="passthrough")] = 0
) -> Annotated[Any, Port("element")]:
    """Takes one item out of an array; a place that the array doesn't have is an error.

    Ports: `array` the items, `index` the place, from 0, `element` the item there.
    """
    items = array or []
    if not 0 <= index < len(items):
        raise NodeError(f"Index {index} is out of bounds for array of length {len(items)}")
    return items[index]


@node("ArrayFirstNode", category=CATEGORY, effects=False, tags=("array", "first", "item"))
def array_first(array: Items) -> EndOfArray:
    """Takes the first item of an array.

    Ports: `array` the items, `element` the first one, null if there is none, `isEmpty` whether
    there is none.
    """
    return EndOfArray(array[0], is_empty=False) if array else EndOfArray(None, is_empty=True)


@node("ArrayLastNode", category=CATEGORY, effects=False, tags=("array", "last", "item"))
def array_last(array: Items) -> EndOfArray:
    """Takes the last item of an array.

    Ports: `array` the items, `element` the last one, null if there is none, `isEmpty` whether
    there is none.
    """
    return EndOfArray(array[-1], is_empty=False) if array else EndOfArray(None, is_empty=True)


@node("ArrayLengthNode", category=CATEGORY, effects=False, tags=("array", "length", "count"))
def array_length(
    array: Annotated[list[Any] | None, Port(default=[], lenient=True)],
) -> Annotated[float, Port("length", default=0, required=True)]:
    """Counts the items of an array.

    Ports: `array` the items, `length` how many there are.
    """
    return len(array or [])


@node("ArrayReverseNode", category=CATEGORY, effects=False, tags=("array", "reverse", "order"))
def array_reverse(array: Items) -> Result:
    """Turns the order of an array round.

    Ports: `array` the items, `result` the same from last to first.
    """
    return (array or [])[::-1]


@node("ArraySliceNode", category=CATEGORY, effects=False, tags=("array", "slice", "part"))
def array_slice(array: Items, start: int | None = 0, end: int | None = -1) -> Result:
    """Takes a part of an array; places below 0 count from its end.

    Ports: `array` the items, `start` the first place that is taken, `end` the place before
    which to stop (-1: to the end), `result` the items between.
    """
    return (array or [])[start : None if end == -1 else end]
