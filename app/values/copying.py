"""Deep copies of JSON values: no consumer ever sees another's changes."""

from __future__ import annotations

from app.values.ports import Value


def copy_value(value: Value) -> Value:
    """Copy a value that is known to be JSON; the copy shares no object and no array with it."""
    if not isinstance(value, dict | list):
        return value
    root: Value = _empty_like(value)
    # A stack of its own, not Python's: the depth of a value is its sender's choice.
    pending: list[tuple[Value, Value]] = [(value, root)]
    while pending:
        source, target = pending.pop()
        if isinstance(source, dict):
            for key, item in source.items():
                target[key] = _begin(item, pending)
        else:
            for item in source:
                target.append(_begin(item, pending))
    return root


def _begin(item: Value, pending: list[tuple[Value, Value]]) -> Value:
    if not isinstance(item, dict | list):
        return item
    copy = _empty_like(item)
    pending.append((item, copy))
    return copy


def _empty_like(value: Value) -> Value:
    return {} if isinstance(value, dict) else []
