"""What the relay's threads are, what they wait and meet by, and their clocks.

Handed in, so that another may decide whose turn it is, and when time passes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


class Flag(Protocol):
    """What `threading.Event` is."""

    def set(self) -> None:
        """End every wait."""
        ...

    def clear(self) -> None:
        """Have who comes from now on wait."""
        ...

    def is_set(self) -> bool:
        """Whether nobody waits."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, so many seconds at most; whether it is."""
        ...


class Condition(AbstractContextManager[object], Protocol):
    """What `threading.Condition` is, as far as the relay uses it."""

    def wait_for(self, predicate: Callable[[], object], timeout: float | None = None) -> object:
        """Wait until the predicate holds, so many seconds at most."""
        ...

    def notify(self) -> None:
        """Have one of those who wait look again."""
        ...

    def notify_all(self) -> None:
        """Have everybody look again."""
        ...


class Joinable(Protocol):
    """A thread that was begun."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until it is over, so many seconds at most."""
        ...


def _begin(name: str, body: Callable[[], object]) -> Joinable:
    thread = threading.Thread(target=body, name=name, daemon=True)
    thread.start()
    return thread


@dataclass(frozen=True, slots=True)
class Threads:
    """The process's own, unless others are given.

    `begin` starts a thread (name, body); `clock` is monotonic, `busy` what the thread that
    asks has used of its processor, both in seconds.
    """

    begin: Callable[[str, Callable[[], object]], Joinable] = _begin
    condition: Callable[[], Condition] = threading.Condition
    flag: Callable[[], Flag] = threading.Event
    clock: Callable[[], float] = time.monotonic
    busy: Callable[[], float] = time.thread_time


THREADS = Threads()
