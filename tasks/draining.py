"""Whether a worker was told to end: one byte that its processes share."""

from __future__ import annotations

import mmap
import os
import select


class DrainFlag:
    """Set by the parent, seen by every child that it forked before or after.

    A byte of shared memory and no lock: a child that is killed while it looks must not hold
    up the others. Who waits, waits at a pipe that nobody reads: what is in it once wakes all.
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)
        self._reader, self._writer = os.pipe()

    def set(self) -> None:
        """The worker is to end: nothing starts any more. Also from a signal's handler."""
        if not self.is_set():
            self._shared[0] = 1
            os.write(self._writer, b"\x01")

    def is_set(self) -> bool:
        """Whether the worker is to end."""
        return self._shared[0] == 1

    def wait(self) -> None:
        """Wait until it is."""
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        while not self.is_set():
            poll.poll()
