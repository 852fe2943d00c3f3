"""Nodes that tell the items of an array apart."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from app.errors import NodeError
from app.nodes.library.arrays import CATEGORY, Items
from app.nodes.sdk import Port, node
from app.values.fields import present, read_field
from app.values.javascript import to_number, to_text, utf16_key
from app.values.lucene import QueryError, compile_query
from app.values.patterns import PatternTimeout
from app.values.ports import MISSING, Missing, Value

Operator = Literal[
    "eq",
    "neq",
    "gt",
    "gte",
    "lt",
    "lte",
    "truthy",
    "falsy",
    "contains",
    "startsWith",
    "endsWith",
]


class Partition(NamedTuple):
    """The items for which a comparison holds, and the others."""

    matching: Annotated[list[Any], Port(mutable=True, default=[])]
    non_matching: Annotated[list[Any], Port("nonMatching", mutable=True, default=[])]


@node("ArrayPartitionNode", category=CATEGORY, effects=False, tags=("array", "filter", "split"))
def array_partition(
    array: Items,
    path: str | None = "",
    operator: Operator | None = "eq",
    value: Any = None,
) -> Partition:
    """Splits an array into the items for which a comparison holds and the others.

    It compares as JavaScript's `==`, `<` and so on do: "10" is more than 9 and equals 10.
    `contains`, `startsWith` and `endsWith` compare texts; an array contains its items.

    Ports: `array` the items, `path` the field of each that counts ('': the item itself),
    `operator` how to compare, `value` with what, `matching` the items for which it holds,
    `nonMatching` the others.
    """
    field = read_field(path)
    holds = _OPERATORS[operator or "eq"]
    items = array or []
    verdicts = [holds(field.of(item), value) for item in items]
    return Partition(
        [item for item, verdict in zip(items, verdicts, strict=True) if verdict],
        [item for item, verdict in zip(items, verdicts, strict=True) if not verdict],
    )


@node(
    "FilterArrayLuceneNode",
    category=CATEGORY,
    title="Filter Array (Lucene)",
    effects=False,
    tags=("array", "filter", "query"),
)
def filter_array_lucene(
    input_array: Annotated[list[Any] | None, Port("inputArray", default=[], lenient=True)],
    query: str | None = "",
) -> Annotated[list[Any], Port("filteredArray", mutable=True, default=[])]:
    """Keeps the items that a query in Lucene's language describes.

    `city:london AND age:[30 TO 50]`, `name:jo*`, `tags:"two words"`, `NOT done:true`,
    `address.zip:>=10000`, `name:/^j.n$/`. Case doesn't matter. A term without a field is looked
    for everywhere in the item.

    Ports: `inputArray` the items, `query` describes those to keep ('': all), `filteredArray`
    those kept.
    """
    try:
        describes = compile_query(query or "")
        return [item for item in input_array or [] if describes(item)]
    except QueryError as error:
        raise NodeError(f"the query can't be read: {error}") from error
    except PatternTimeout as error:
        raise NodeError(f"a regular expression of the query: {error}") from error


def _equals(left: Value | Missing, right: Value) -> bool:
    """JavaScript's ==, for which two objects are never the same one."""
    left = present(left)
    if left is None or right is None:
        return left is right
    if isinstance(left, list | dict) and isinstance(right, list | dict):
        return False
    if isinstance(left, str | list | dict) and isinstance(right, str | list | dict):
        return to_text(left) == to_text(right)
    return to_number(left) == to_number(right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Value | Missing, Value], bool]:
    """JavaScript's < and the like: texts among each other as texts, all else as numbers."""

    def holds(left: Value | Missing, right: Value) -> bool:
        if isinstance(left, str | list | dict) and isinstance(right, str | list | dict):
            return compare(utf16_key(to_text(left)), utf16_key(to_text(right)))
        number = math.nan if left is MISSING else to_number(left)
        return compare(number, to_number(right))

    return holds


def _is_truthy(value: Value | Missing) -> bool:
    return isinstance(value, list | dict) or bool(value)


def _contains(left: Value | Missing, right: Value) -> bool:
    if isinstance(left, list):
        return any(_equals(item, right) for item in left)
    return _text(right) in _text(left)


def _text(value: Value | Missing) -> str:
    return "" if value is None or value is MISSING else to_text(value)


_OPERATORS: Mapping[str, Callable[[Value | Missing, Value], bool]] = {
    "eq": _equals,
    "neq": lambda left, right: not _equals(left, right),
    "gt": _ordered(operator.gt),
    "gte": _ordered(operator.ge),
    "lt": _ordered(operator.lt),
    "lte": _ordered(operator.le),
    "truthy": lambda left, _: _is_truthy(left),
    "falsy": lambda left, _: not _is_truthy(left),
    "contains": _contains,
    "startsWith": lambda left, right: _text(left).startswith(_text(right)),
    "endsWith": lambda left, right: _text(left).endswith(_text(right)),
}
