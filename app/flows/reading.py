"""Reading fields of a JSON object: what is missing or of the wrong kind becomes a fault."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from app.flows.faults import FaultLog, below
from app.values.jsonable import kind_of
from app.values.ports import Value

#: Characters of an id; it is part of keys in the database.
MAX_ID = 255

_EMPTY: Mapping[str, Value] = {}


class Fields:
    """One object of a document, at `pointer`; every reader notes its fault and goes on."""

    def __init__(self, raw: Mapping[str, Value], pointer: str, log: FaultLog) -> None:
        self.raw = raw
        self.pointer = pointer
        self.log = log

    def at(self, *steps: str | int) -> str:
        """The pointer of a place in it."""
        return below(self.pointer, *steps)

    def fault(self, key: str, message: str) -> None:
        """Note a fault of one field."""
        self.log.add(self.at(key), message)

    def missing(self, key: str) -> bool:
        """Whether a field that must be there isn't; notes the fault."""
        if key in self.raw:
            return False
        self.fault(key, "is missing")
        return True

    def name(self, key: str, longest: int) -> str | None:
        """A text that is stored in a column of its own: no NUL, at most `longest` characters."""
        if self.missing(key):
            return None
        value = self.raw[key]
        if not isinstance(value, str):
            self.fault(key, f"must be a string, not {kind_of(value)}")
            return None
        if len(value) > longest:
            self.fault(key, f"must have at most {longest} characters, not {len(value)}")
            return None
        if "\0" in value:
            self.fault(key, "must not hold the character NUL")
            return None
        return value

    def optional_identifier(self, key: str, longest: int) -> str | None:
        """A name that isn't empty, where there is one."""
        return self.identifier(key, longest) if key in self.raw else None

    def identifier(self, key: str, longest: int) -> str | None:
        """A name that isn't empty."""
        name = self.name(key, longest)
        if name == "":
            self.fault(key, "must not be empty")
            return None
        return name

    def object(self, key: str) -> Mapping[str, Value]:
        """An object; empty where there is none."""
        value = self.raw.get(key, _EMPTY)
        if isinstance(value, dict):
            return value
        if value is not _EMPTY:
            self.fault(key, f"must be an object, not {kind_of(value)}")
        return _EMPTY

    def array(self, key: str) -> list[Value]:
        """An array that must be there; empty where it isn't."""
        if self.missing(key):
            return []
        value = self.raw[key]
        if isinstance(value, list):
            return value
        self.fault(key, f"must be an array, not {kind_of(value)}")
        return []

    def integer(self, key: str, lowest: int, highest: int) -> int | None:
        """A whole number within bounds; None where there is none."""
        number = self.number(key, lowest, highest)
        if number is not None and number != math.floor(number):
            self.fault(key, "must be a whole number")
            return None
        return None if number is None else int(number)

    def number(self, key: str, lowest: int, highest: int) -> float | None:
        """A number within bounds; None where there is none."""
        if key not in self.raw:
            return None
        value = self.raw[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault(key, f"must be a number, not {kind_of(value)}")
            return None
        if not lowest <= value <= highest:
            self.fault(key, f"must be between {lowest} and {highest}")
            return None
        return value

    def refuse_unknown(self, known: AbstractSet[str]) -> None:
        """Note a fault for each field that isn't known."""
        for key in self.raw:
            if key not in known:
                self.fault(key, "is not a field that is known here")
