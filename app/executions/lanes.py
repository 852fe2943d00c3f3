"""The threads that nodes run in. They hand in what happened; they never write."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

#: How many threads without work are kept.
KEPT_IDLE = 16

Work = Callable[[], None]


class Lanes:
    """Daemon threads, as many as there is work at once; idle ones are used again.

    A thread that never comes back costs itself only: nobody waits for it, not even the end of
    the process.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[Work] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def run(self, work: Work) -> None:
        """Run `work` in a thread at once."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                threading.Thread(target=self._loop, daemon=True, name="node").start()
        self._work.put(work)

    def _loop(self) -> None:
        while True:
            self._work.get()()
            with self._lock:
                if self._idle >= KEPT_IDLE:
                    return
                self._idle += 1
