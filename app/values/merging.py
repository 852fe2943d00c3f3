"""How a value that crosses an edge meets what stands at its end (docs/flows.md, Ports)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from app.values.copying import copy_value
from app.values.paths import MAX_POSITION, Path, get_path
from app.values.ports import Missing, Value
from app.values.secrets import is_reference

#: Positions that a path in a document may leave empty behind the end of an array.
MAX_GAP = 100


def merge(stored: Value, incoming: Value) -> Value:
    """Lay `incoming` over `stored`; the result shares nothing with either.

    An object into an object keeps the keys that `incoming` lacks, at every level; everything
    else (an array into an array, too) is replaced by `incoming`.
    """
    if not (isinstance(stored, dict) and isinstance(incoming, dict)):
        return copy_value(incoming)
    merged: dict[str, Value] = copy_value(stored)
    _merge_into(merged, incoming)
    return merged


def transfer(values: dict[str, Value], path: Path, incoming: Value) -> None:
    """Hand a copy of `incoming` to the place that `path` names, with the meaning of `merge`.

    `values` holds root port values and is changed in place, so the caller must own them; `path`
    begins with the root port's id. Places on the way that don't exist are made. Raises
    ValueError for a position in an array beyond MAX_POSITION.
    """
    standing = get_path(values, path)
    # What stands for a secret is one thing, whatever its JSON looks like.
    if isinstance(standing, dict) and isinstance(incoming, dict) and not is_reference(incoming):
        _merge_into(standing, incoming)
    else:
        _place(values, path, copy_value(incoming))


def set_path(value: Value, steps: Sequence[str | int], incoming: Value) -> Value:
    """Put `incoming` itself at `steps` of `value`, making the way there; gives the new value.

    `value` is changed in place where it is an object or an array that fits; what doesn't fit
    on the way is replaced. Raises ValueError for a position beyond MAX_POSITION, or more than
    MAX_GAP beyond the end of its array: a few bytes of a document must not fill the memory.
    """
    empty_positions(value, steps)
    holder: dict[str, Value] = {"": value}
    _place(holder, ("", *steps), incoming)
    return holder[""]


def empty_positions(value: Value, steps: Sequence[str | int]) -> int:
    """How many positions of arrays are empty after `set_path`, that aren't there before it.

    Raises ValueError for a position more than MAX_GAP beyond the end of its array.
    """
    empty = 0
    for step in steps:
        end = len(value) if isinstance(value, list) else 0
        if isinstance(step, int):
            if step > end + MAX_GAP:
                raise ValueError(f"position {step} is too far beyond the end of its array")
            empty += max(0, step - end)
        found = get_path(value, (step,))
        value = None if isinstance(found, Missing) else found
    return empty


def _merge_into(target: dict[str, Value], incoming: dict[str, Value]) -> None:
    pending = [(target, incoming)]
    while pending:
        into, source = pending.pop()
        for key, item in source.items():
            standing = into.get(key)
            if isinstance(standing, dict) and isinstance(item, dict) and not is_reference(item):
                pending.append((standing, item))
            else:
                into[key] = copy_value(item)


def _place(values: dict[str, Value], path: Sequence[str | int], incoming: Value) -> None:
    holder: Value = values
    for step, following in pairwise(path):
        inner = get_path(holder, (step,))
        if not isinstance(inner, list if isinstance(following, int) else dict):
            inner = [] if isinstance(following, int) else {}
            _assign(holder, step, inner)
        holder = inner
    _assign(holder, path[-1], incoming)


def _assign(holder: Value, step: str | int, value: Value) -> None:
    if not isinstance(step, int):
        holder[step] = value
        return
    if step > MAX_POSITION:
        raise ValueError(f"position {step} is beyond {MAX_POSITION}")
    holder.extend([None] * (step + 1 - len(holder)))
    holder[step] = value
