"""Port configuration: what may stand in a port, and in which direction it flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: A JSON value. Any, because a recursive alias buys no safety at the edges where JSON comes in.
Value = Any


class PortType(StrEnum):
    """The nine types of docs/flows.md, Ports."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ARRAY = "array"
    OBJECT = "object"
    ENUM = "enum"
    STREAM = "stream"
    SECRET = "secret"  # noqa: S105 — the name of a type
    ANY = "any"


class Direction(StrEnum):
    """Which way values cross a port; a passthrough is input and output at once."""

    INPUT = "input"
    OUTPUT = "output"
    PASSTHROUGH = "passthrough"


class Missing:
    """The type of MISSING: no default, which is not the same as a default of null."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING = Missing()


@dataclass(frozen=True, slots=True)
class PortConfig:
    """One port: its type, direction, bounds and default.

    `minimum`/`maximum`/`step`/`integer` bound numbers; `min_length`/`max_length` strings (in
    characters) and arrays (in items); `pattern` is a regular expression that a string must
    match somewhere; `item` is the config of an array's or stream's items; `properties` names
    what an object holds (empty: anything); `options` are the values of an enum; `underlying`
    is the type that an `any` port declares; `mutable` says that a document may change the
    schema (a ~ in docs/nodes.md); `sealed` that its values are secrets, of whatever type: they
    are kept as sealed texts (app/values/secrets.py).
    """

    type: PortType
    direction: Direction = Direction.INPUT
    required: bool = False
    default: Value | Missing = MISSING
    title: str = ""
    description: str = ""
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    integer: bool = False
    item: PortConfig | None = None
    properties: Mapping[str, PortConfig] | None = None
    options: Sequence[Value] = ()
    underlying: PortConfig | None = None
    mutable: bool = False
    sealed: bool = False

    @property
    def takes_input(self) -> bool:
        """Whether an edge may lead into it."""
        return self.direction is not Direction.OUTPUT

    @property
    def is_passthrough(self) -> bool:
        """Whether it hands on what came in."""
        return self.direction is Direction.PASSTHROUGH

    @property
    def gives_output(self) -> bool:
        """Whether an edge may leave it."""
        return self.direction is not Direction.INPUT


EXECUTE = "__execute"
SUCCESS = "__success"
ERROR = "__error"
ERROR_MESSAGE = "__errorMessage"

#: The four ports that every node has beside its own (docs/flows.md, Ports).
SYSTEM_PORTS: Mapping[str, PortConfig] = {
    EXECUTE: PortConfig(PortType.BOOLEAN, Direction.INPUT, default=True),
    SUCCESS: PortConfig(PortType.BOOLEAN, Direction.OUTPUT, default=False),
    ERROR: PortConfig(PortType.BOOLEAN, Direction.OUTPUT, default=False),
    ERROR_MESSAGE: PortConfig(PortType.STRING, Direction.OUTPUT, default=""),
}
