"""An event that a node emits: a child execution of the same flow is made for it."""

from __future__ import annotations

from typing import NamedTuple

from app.errors import NodeError
from app.values.plain import plain_copy
from app.values.ports import Value

#: An event's name has at most so many characters.
LONGEST_NAME = 255


class Emission(NamedTuple):
    """An event's name and what comes with it, a JSON object."""

    name: str
    payload: dict[str, Value]


def emission(name: object, payload: object = None) -> Emission:
    """Check what a node emits, and keep it as it is now. Raises NodeError."""
    if not isinstance(name, str) or not name:
        raise NodeError("an event needs a name")
    if len(name) > LONGEST_NAME:
        raise NodeError(f"the name of an event has at most {LONGEST_NAME} characters")
    try:
        copied = plain_copy({} if payload is None else payload)
    except ValueError as error:
        raise NodeError(f"the payload of event '{name}' is no value: {error}") from error
    if not isinstance(copied, dict):
        raise NodeError(f"the payload of event '{name}' is not an object")
    return Emission(name, copied)
