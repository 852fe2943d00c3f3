"""The node that makes one value of an array."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import reduce
from itertools import chain
from typing import Annotated, Any, Literal

from app.nodes.library.arrays import CATEGORY, Items
from app.nodes.sdk import Port, node
from app.values.fields import present, read_field
from app.values.javascript import to_text, whole
from app.values.ports import Value

Operation = Literal["sum", "avg", "min", "max", "count", "first", "last", "concat", "join"]


@node("ArrayReduceNode", category=CATEGORY, effects=False, tags=("array", "sum", "aggregate"))
def array_reduce(
    array: Items,
    operation: Operation | None = "sum",
    path: str | None = "",
    separator: str | None = ",",
) -> Annotated[Any, Port("result")]:
    """Makes one value of an array.

    `sum`, `avg`, `min` and `max` leave out what isn't a number, and give 0 if there is none.
    `concat` puts the items of arrays in the array side by side; `join` makes one text.

    Ports: `array` the items, `operation` what to do, `path` the field of each item that counts
    ('': the item itself), `separator` what "join" puts between, `result` the value.
    """
    field = read_field(path)
    values = [present(field.of(item)) for item in array or []]
    if operation == "join":
        return (separator or "").join("" if value is None else to_text(value) for value in values)
    if operation in _ON_NUMBERS:
        numbers = [value for value in values if _is_number(value)]
        return _ON_NUMBERS[operation](numbers) if numbers else 0
    return _ON_VALUES[operation or "count"](values)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _sum(numbers: list[float]) -> float:
    # From left to right in doubles, as JavaScript adds; sum() would round differently.
    return whole(reduce(operator.add, map(float, numbers)))


def _concat(values: list[Value]) -> list[Value]:
    return list(chain.from_iterable(v if isinstance(v, list) else [v] for v in values))


_ON_NUMBERS: Mapping[str | None, Callable[[list[float]], float]] = {
    "sum": _sum,
    "avg": lambda numbers: whole(_sum(numbers) / len(numbers)),
    "min": min,
    "max": max,
}
_ON_VALUES: Mapping[str, Callable[[list[Value]], Value]] = {
    "count": len,
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
    "concat": _concat,
}
