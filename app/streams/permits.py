"""Whether clients may still read: one thread that asks, so that who sends waits for nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from app.streams.threads import THREADS, Joinable, Threads

#: So often (s) it is looked whether a client may still read.
LOOK_EVERY_S = 2.0
#: How long (s) closing waits for the thread: it may be asking a store that doesn't answer.
ENDS_WITHIN_S = 1.0


class Permit(Protocol):
    """What a client came in with; equal ones are asked about once."""

    def __hash__(self) -> int: ...

    def holds(self) -> bool:
        """Whether it is still good, as far as can be told. It may take its time."""
        ...


class Permits:
    """Those of the clients of one process. The thread begins with the first; call from any."""

    def __init__(self, threads: Threads = THREADS) -> None:
        self._threads = threads
        self._closed = threads.flag()
        self._held: dict[object, tuple[Permit, Callable[[], object]]] = {}
        self._lock = threading.Lock()
        self._thread: Joinable | None = None

    def keep(self, client: object, permit: Permit, refuse: Callable[[], object]) -> None:
        """Look after a client, until it is dropped; `refuse` is called when it may read no more."""
        with self._lock:
            self._held[client] = permit, refuse
            if self._thread is None and not self._closed.is_set():
                self._thread = self._threads.begin("permits", self._look_on)

    def drop(self, client: object) -> None:
        """A client is gone. Without effect where none was kept."""
        with self._lock:
            self._held.pop(client, None)

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(ENDS_WITHIN_S)

    def _look_on(self) -> None:
        while not self._closed.wait(LOOK_EVERY_S):
            self._look()

    def _look(self) -> None:
        with self._lock:
            held = list(self._held.values())
        for permit in {each for each, _ in held}:
            if self._closed.is_set():
                return
            if not permit.holds():
                for each, refuse in held:
                    if each == permit:
                        refuse()
