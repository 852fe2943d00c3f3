"""A flag that costs nothing until somebody waits on it."""

from __future__ import annotations

import threading

#: Held for an instant, by who waits first on a flag.
_first = threading.Lock()


class LazyFlag:
    """What `threading.Event` is. Every step has one, and hardly any is ever waited on."""

    __slots__ = ("_event", "_is_set")

    def __init__(self) -> None:
        self._event: threading.Event | None = None
        self._is_set = False

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake whoever waits."""
        self._is_set = True
        if self._event is not None:
            self._event.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or for so many seconds; gives whether it is."""
        if self._is_set:
            return True
        with _first:
            if self._event is None:
                self._event = threading.Event()
        # Set in the meantime: who did so may have seen no event.
        return self.is_set() or self._event.wait(timeout)
