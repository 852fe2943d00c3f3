"""Whether a value is JSON at all: what is neither stored nor sent, and what is too deep."""

from __future__ import annotations

import math
import re

from app.values.plain import MAX_DEPTH
from app.values.ports import Value

#: Objects, arrays and scalars in one value. Shared parts count each time they are reached: a
#: few levels of sharing (YAML's aliases) would otherwise keep a check busy for years.
MAX_PARTS = 1_000_000

_SURROGATE = re.compile("[\ud800-\udfff]")
_SCALARS = frozenset({int, float, bool, type(None)})


def is_json(value: Value, depth: int = 0) -> bool:
    """Whether a value that stands at `depth` is JSON through and through: the quick answer."""
    level, parts = [value], 0
    while level:
        parts += len(level)
        if parts > MAX_PARTS or not all(map(_is_sound, level)):
            return False
        inner: list[Value] = []
        for part in level:
            if isinstance(part, dict):
                inner.extend(part.values())
            elif isinstance(part, list):
                inner.extend(part)
        if depth >= MAX_DEPTH and any(isinstance(part, dict | list) for part in level):
            return False
        level, depth = inner, depth + 1
    return True


def _is_sound(part: Value) -> bool:
    kind = type(part)
    if kind is str:
        return part.isascii() or not is_broken(part)
    if kind is dict:
        return all(type(key) is str for key in part) and (
            all(map(str.isascii, part)) or not any(map(is_broken, part))
        )
    return kind is list or (kind in _SCALARS and why_not_json(part, 0) is None)


def why_not_json(value: Value, depth: int) -> str | None:
    """What a part itself (not what is in it) has that JSON can't hold, as a clause, or None."""
    if isinstance(value, str):
        broken = not value.isascii() and is_broken(value)
        return "holds half of a surrogate pair, which can't be stored" if broken else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _not_finite(value)
    if isinstance(value, dict | list):
        deep = depth >= MAX_DEPTH
        return f"is nested deeper than {MAX_DEPTH} levels" if deep else None
    return f"is of type {type(value).__name__}, which JSON can't hold"


def _not_finite(value: float) -> str | None:
    try:
        if math.isfinite(value):
            return None
    except OverflowError:
        return "is too large a number: JSON's numbers are doubles, up to 1.8e308"
    return f"is {value}, which JSON can't hold"


def is_broken(text: str) -> bool:
    """Whether a text holds half of a surrogate pair, so that it can't be encoded."""
    return _SURROGATE.search(text) is not None


def kind_of(value: Value) -> str:
    """What a JSON value is, with its article: "a number", "null"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, int | float):
        return "a number"
    return "an object" if isinstance(value, dict) else "an array"
