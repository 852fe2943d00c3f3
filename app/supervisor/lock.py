"""One supervisor for a directory at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import ChainGraphError

NAME = "dev.lock"

#: A supervisor that was killed leaves a guardian that ends its programs within this time.
LEFTOVERS_END_WITHIN_S = 30.0
POLL_S = 0.1


class DirectoryInUse(ChainGraphError):
    """Another supervisor works on this directory."""


@contextmanager
def exclusive(directory: Path) -> Iterator[int]:
    """Hold the directory; yields the lock's file descriptor.

    Whoever inherits the descriptor holds the lock too. Raises DirectoryInUse, which names the
    holder's process id, at once if the holder lives, and after LEFTOVERS_END_WITHIN_S if it
    is dead and what it started is still about to end.
    """
    descriptor = os.open(directory / NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(descriptor, directory)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, directory: Path) -> None:
    deadline = time.monotonic() + LEFTOVERS_END_WITHIN_S
    while not _try(descriptor):
        holder = int(os.pread(descriptor, 20, 0) or b"0")
        if _lives(holder) or time.monotonic() > deadline:
            raise DirectoryInUse(
                f"another `chaingraph dev` runs in {directory} (process {holder}): end it,"
                " or use another one with --data-dir"
            )
        time.sleep(POLL_S)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
