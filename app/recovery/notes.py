"""Moving notes of who did what to DATABASE_URL, as a thread of a worker."""

from __future__ import annotations

import logging
import threading

from app.errors import StoreUnavailable
from app.store.notes import NoteStore
from app.store.refusals import REFUSALS

#: How long (s) it waits where there was nothing to move, or one of the databases was away.
LOOKS_EVERY_S = 1.0
#: At each so many looks it deletes what is old, of so many rows.
FORGETS_EACH, ROWS = 10, 2000
#: Notes that one transaction moves.
BATCH = 500
#: How long (s) stopping waits for a move that is under way.
STOPS_WITHIN_S = 2.0

_log = logging.getLogger(__name__)


class NoteMover:
    """Moves them as long as the worker lives: apart from the sweep, which must not wait for a
    database that it doesn't need. What was noted `retention_days` ago it deletes; 0 keeps it.
    """

    def __init__(self, store: NoteStore, retention_days: int = 0) -> None:
        self._store = store
        self._days = retention_days
        self._looks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="notes", daemon=True)

    def start(self) -> None:
        """Move from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop moving; what is left is moved by another worker, or the next."""
        self._stop.set()
        self._thread.join(STOPS_WITHIN_S)
        self._store.close()

    def filenos(self) -> list[int]:
        """The connections' file descriptors: a forked child must close its copies."""
        return self._store.filenos()

    def _loop(self) -> None:
        while not self._stop.wait(0 if self._moved_batch() else LOOKS_EVERY_S):
            pass

    def _moved_batch(self) -> bool:
        try:
            self._forget()
            return self._store.move(BATCH) == BATCH
        except StoreUnavailable as error:
            _log.warning("could not move notes to DATABASE_URL: %s", error)
            return False
        except REFUSALS:
            _log.exception("could not move notes to DATABASE_URL")
            return False

    def _forget(self) -> None:
        self._looks += 1
        if self._days and self._looks % FORGETS_EACH == 0:
            self._store.forget(self._days, ROWS)
