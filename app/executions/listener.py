"""Where a worker process hears of commands: a thread that hands wake-ups to its runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from app.store.records import Fence
from app.streams.protocol import Inbox, SignalBox

#: How long (s) the end waits for the thread.
ENDS_WITHIN_S = 2.0

_log = logging.getLogger(__name__)


class Commandable(Protocol):
    """A run, or a sent step, as this thread sees it."""

    fence: Fence

    def alert(self) -> None:
        """Say that a command came."""
        ...


class CommandListener:
    """Alerts what runs in a process. What is lost on the way, a renewal or a write tells.

    `running` gives what runs at the moment. Start it after the fork.
    """

    def __init__(
        self, inbox: Inbox, signals: SignalBox, running: Callable[[], Iterable[Commandable]]
    ) -> None:
        self._inbox = inbox
        self._signals = signals
        self._running = running
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="commands", daemon=True)

    def start(self) -> None:
        """Listen from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._stop.set()
        self._inbox.close()
        if self._thread.is_alive():
            self._thread.join(ENDS_WITHIN_S)

    def _loop(self) -> None:
        while not self._stop.is_set():
            execution_id = self._inbox.wait()
            if execution_id is not None:
                self._hear(execution_id)

    def _hear(self, execution_id: str) -> None:
        for run in self._running():
            if run.fence.execution_id == execution_id:
                run.alert()
        commands = self._signals.take_commands(execution_id)
        _log.debug("execution %s was told to %s", execution_id, ", ".join(commands))
