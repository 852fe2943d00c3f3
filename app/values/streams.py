"""A stream as a value: what a document stores, a checkpoint holds and an edge carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.values.ports import Value


def stream_value(
    items: Iterable[Value] = (),
    *,
    is_closed: bool = True,
    error: Mapping[str, Value] | None = None,
) -> dict[str, Value]:
    """A stream of these items; `error` is what ended it, `{type, message}`, if that was one."""
    value: dict[str, Value] = {"type": "stream", "buffer": list(items), "isClosed": is_closed}
    return value if error is None else {**value, "error": dict(error)}


def items_of(value: Value) -> list[Value]:
    """The items of a stream's value."""
    items: list[Value] = value["buffer"]
    return items
