"""What the children of a worker leave for their parent to see, should they freeze.

A slot of shared memory for each child. The child alone writes there, the parent reads; there
is no lock, so that whoever is killed or frozen holds up nobody.
"""

from __future__ import annotations

import mmap
import struct
from math import inf
from typing import NamedTuple

#: Bytes of a slot. What doesn't fit there is not watched.
SLOT_BYTES = 4096

#: pid, when the child last gave a sign of life, when its first node's time is up (both in
#: seconds of the system's monotonic clock), and the length of the text that follows.
_HEAD = struct.Struct("=qddq")
_PID, _BEAT, _DUE = 0, 8, 16

_TIME = struct.Struct("=d")
_DUE_AND_LENGTH = struct.Struct("=dq")


class Posted(NamedTuple):
    """What stands in a slot. `due` is infinity where there is nothing to give up."""

    pid: int
    beat: float
    due: float
    text: bytes


class Slot:
    """One child's place on the board."""

    def __init__(self, memory: mmap.mmap, offset: int) -> None:
        self._memory = memory
        self._offset = offset

    def open(self, pid: int, now: float) -> None:
        """Begin, as a process that runs nothing yet."""
        _HEAD.pack_into(self._memory, self._offset, pid, now, inf, 0)

    def close(self) -> None:
        """Nothing of this process is to be watched any more."""
        struct.pack_into("=q", self._memory, self._offset + _PID, 0)

    def beat(self, now: float) -> None:
        """Give a sign of life."""
        _TIME.pack_into(self._memory, self._offset + _BEAT, now)

    def post(self, due: float, text: bytes = b"") -> None:
        """Say whose time is up first, and when."""
        # Unsaid first: who freezes in the middle leaves nothing that is half true.
        _TIME.pack_into(self._memory, self._offset + _DUE, inf)
        if due == inf or len(text) > SLOT_BYTES - _HEAD.size:
            return
        start = self._offset + _HEAD.size
        self._memory[start : start + len(text)] = text
        _DUE_AND_LENGTH.pack_into(self._memory, self._offset + _DUE, due, len(text))

    def read(self) -> Posted:
        """What stands here."""
        pid, beat, due, length = _HEAD.unpack_from(self._memory, self._offset)
        start = self._offset + _HEAD.size
        return Posted(pid, beat, due, bytes(self._memory[start : start + length]))


class Board:
    """The slots of a worker. Made before its children are forked."""

    def __init__(self, slots: int) -> None:
        self._memory = mmap.mmap(-1, slots * SLOT_BYTES)
        self.slots = [Slot(self._memory, number * SLOT_BYTES) for number in range(slots)]

    def slot(self, number: int) -> Slot | None:
        """The slot of the child of that number; None for one beyond those that were planned."""
        return self.slots[number] if number < len(self.slots) else None
