"""A path as users write it in a node, `a.b[0].c`: read from items, written into new ones."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import NodeError
from app.values.merging import set_path
from app.values.paths import Path, parse_path
from app.values.ports import MISSING, Missing, Value


@dataclass(frozen=True, slots=True)
class Field:
    """A place in an item; no steps mean the item itself."""

    steps: Path

    def of(self, item: Value) -> Value | Missing:
        """What stands there; MISSING where the item has no such place."""
        for step in self.steps:
            item = _child(item, step)
            if item is MISSING:
                return MISSING
        return item

    def put(self, target: dict[str, Value], value: Value) -> None:
        """Put a value there, making the objects and arrays on the way; raises NodeError."""
        try:
            set_path(target, self.steps, value)
        except ValueError as error:
            raise NodeError(str(error)) from error


def read_field(path: str | None) -> Field:
    """Read a path, of which '' is the whole item; raises NodeError."""
    if not path:
        return Field(())
    try:
        return Field(parse_path(path))
    except ValueError as error:
        raise NodeError(str(error)) from error


def present(value: Value | Missing) -> Value:
    """The value, null where there is none: JSON has no undefined."""
    return None if value is MISSING else value


def _child(value: Value, step: str | int) -> Value | Missing:
    if isinstance(value, list):
        position = _position(step)
        return value[position] if position is not None and position < len(value) else MISSING
    if isinstance(value, dict):
        return value.get(str(step), MISSING)
    return MISSING


def _position(step: str | int) -> int | None:
    """`a.0` means the same as `a[0]`."""
    if isinstance(step, int):
        return step
    return int(step) if step.isascii() and step.isdigit() and len(step) < 10 else None
