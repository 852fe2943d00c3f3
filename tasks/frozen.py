"""Children that are frozen by a node whose time is up: settled for, and killed."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from app.errors import StoreUnavailable
from app.store.overdue import OverdueStore
from app.store.records import Overdue
from app.store.refusals import REFUSALS
from tasks.board import Board, Posted, Slot

#: A child that gave no sign of life for so long (s) can't give its nodes up itself.
FROZEN_AFTER_S = 2.0
#: How often (s) the parent looks, and its children give signs of life.
LOOK_EVERY_S = 0.5

_log = logging.getLogger(__name__)


class FrozenWatch:
    """A thread of a worker's parent. `wake` hears of an execution and of who owns it.

    A node that holds the interpreter's lock, in an extension written in C say, freezes all of
    its process: nothing there can end it, or even renew a lease. Once its time is up its timeout
    is entered from here, and the process is killed.
    """

    def __init__(
        self,
        board: Board,
        store: OverdueStore,
        wake: Callable[[str, str | None], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._store = store
        self._wake = wake
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="frozen", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()

    def look(self) -> None:
        """Settle for what is frozen past its time."""
        now = self._clock()
        for slot in self._board.slots:
            posted = slot.read()
            is_frozen = posted.pid and posted.beat < now - FROZEN_AFTER_S
            if is_frozen and posted.due < now:
                self._end(slot, posted)

    def _end(self, slot: Slot, posted: Posted) -> None:
        if not _is_child(posted.pid):
            # It has died: that is the sweep's to see.
            slot.close()
            return
        overdue = Overdue(*orjson.loads(posted.text))
        try:
            # First, while the child is alive: nobody takes what it runs for lost meanwhile.
            owner = self._store.time_out(overdue)
        except StoreUnavailable as error:
            _log.warning("could not enter a timeout: %s", error)
            return
        except REFUSALS:
            _log.exception("could not enter a timeout")
            return
        slot.close()
        os.kill(posted.pid, signal.SIGKILL)
        _log.error(
            "killed process %d: node %s of execution %s did not yield when its time was up",
            posted.pid,
            overdue.node_id,
            overdue.execution_id,
        )
        self._wake(overdue.execution_id, owner)

    def _loop(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            self.look()


def _is_child(pid: int) -> bool:
    """Whether this is a child of this very process, and has not ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    # The name, in brackets, may hold anything.
    state, parent = text.rpartition(")")[2].split()[:2]
    return int(parent) == os.getpid() and state != "Z"
