"""Gathering everything that is wrong with a document, each with its JSON pointer."""

from __future__ import annotations

from collections.abc import Iterable

from app.errors import Fault
from app.values.codec import escape

#: Faults that one answer lists; a document that breaks a rule everywhere says no more than that.
MAX_FAULTS = 1_000


class FaultLog:
    """Faults in the order in which they were found, each place and message once."""

    def __init__(self) -> None:
        self._found: dict[Fault, None] = {}
        self._unlisted = 0

    def add(self, pointer: str, message: str) -> None:
        """Note one fault."""
        fault = Fault(pointer, message)
        if fault in self._found:
            return
        if len(self._found) < MAX_FAULTS:
            self._found[fault] = None
        else:
            self._unlisted += 1

    def extend(self, faults: Iterable[Fault]) -> None:
        """Note several."""
        for fault in faults:
            self.add(fault.pointer, fault.message)

    def __bool__(self) -> bool:
        return bool(self._found)

    def listed(self) -> list[Fault]:
        """Everything noted; where there was too much of it, the last entry says how much."""
        listed = list(self._found)
        if self._unlisted:
            listed.append(Fault("", f"there are {self._unlisted} more faults like these"))
        return listed


def below(pointer: str, *steps: str | int) -> str:
    """The JSON pointer of a place further down."""
    for step in steps:
        pointer += f"/{step}" if isinstance(step, int) else f"/{escape(step)}"
    return pointer
