"""Paths into values: `variables.name`, `items[0].id`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.values.ports import MISSING, Missing, Value

#: A root port id followed by property names (str) and array positions (int).
Path = tuple[str | int, ...]

#: The last position of an array that a path may name: a path must not make a huge array.
MAX_POSITION = 999

_STEP = re.compile(r"\[([0-9]{1,3})\]|\.?([^.\[\]]+)")


def parse_path(text: str) -> Path:
    """Read `a.b[0].c` as ("a", "b", 0, "c").

    Raises ValueError where the text isn't a path, or a position is beyond MAX_POSITION.
    """
    steps: list[str | int] = []
    position = 0
    for match in _STEP.finditer(text):
        if match.start() != position:
            break
        position = match.end()
        steps.append(int(match[1]) if match[1] is not None else match[2])
    if not steps or position != len(text):
        raise ValueError(f"'{text}' is not a path")
    return tuple(steps)


def format_path(path: Sequence[str | int]) -> str:
    """Write a path as a document does: the reverse of `parse_path`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def get_path(value: Value, steps: Sequence[str | int]) -> Value | Missing:
    """Walk `steps` into a value; MISSING where the value has no such place."""
    for step in steps:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return MISSING
        elif not isinstance(value, dict) or step not in value:
            return MISSING
        value = value[step]
    return value
