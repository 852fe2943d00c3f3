"""How long a run goes on while others wait for a slot."""

from __future__ import annotations

import logging

from app.engine import Engine
from app.errors import StoreUnavailable
from app.executions.surroundings import Surroundings

#: So long (s) a run goes on before it looks whether others wait, and between two looks.
SLICE_S = 2.0
#: Whoever waits for less (ms) is about to be taken by a process that is free.
WAITING_MS = 100

_log = logging.getLogger(__name__)


class TimeSlice:
    """The time slice of a run, which begins with the first of its nodes that starts here.

    So a long restore isn't all that a run comes to. For the run's own thread.
    """

    def __init__(self, execution_id: str, around: Surroundings) -> None:
        self._execution_id = execution_id
        self._around = around
        self._until: float | None = None
        #: Whether the run gives way: it starts nothing more.
        self.is_over = False

    def gives_way(self, engine: Engine, *, is_busy: bool) -> bool:
        """Whether the run starts nothing more here: its slice is used up, and others wait.

        That is so only where it would start something, is not `is_busy` with other nodes, and
        has started something here: else a slow machine would hand everything round and run
        nothing. Asks the store, once a slice; a store that can't be asked is no reason.
        """
        if self.is_over or is_busy or engine.next_start() is None:
            return self.is_over
        now, until = self._around.clock(), self._until
        if until is not None and now < until:
            return False
        self._until = now + SLICE_S
        if until is None:
            return False
        self.is_over = self._others_wait()
        return self.is_over

    def _others_wait(self) -> bool:
        try:
            return self._around.store.others_wait(self._execution_id, WAITING_MS)
        except StoreUnavailable as error:
            _log.debug("could not ask who waits: %s", error)
            return False
