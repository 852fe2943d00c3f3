"""Whether a worker was told to end: one byte that its processes share."""

from __future__ import annotations

import mmap


class DrainFlag:
    """Set by the parent, seen by every child that it forked before or after.

    A byte of shared memory and no lock: a child that is killed while it looks must not hold
    up the others.
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)

    def set(self) -> None:
        """The worker is to end: nothing starts any more."""
        self._shared[0] = 1

    def is_set(self) -> bool:
        """Whether the worker is to end."""
        return self._shared[0] == 1
