"""How long a run goes on while others wait for a slot."""

from __future__ import annotations

import logging
from math import inf

from app.engine import Engine
from app.errors import StoreUnavailable
from app.executions.surroundings import Surroundings

#: So long (s) a run goes on before it looks whether others wait, and between two looks.
SLICE_S = 2.0
#: So long (s) a run that is to give way starts nothing while nodes of it are in flight. If they
#: take longer, it goes on, and the next slice and the next such wait are twice as long: nodes that
#: outlast every wait must not cost those beside them much.
HOLD_S = 1.0
#: The longest that a slice and such a wait become (s).
LONGEST_SLICE_S = 120.0
LONGEST_HOLD_S = 8.0
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
        self._slice_s, self._hold_s = SLICE_S, HOLD_S
        self._until: float | None = None
        #: When the run, which waits for its nodes in flight, starts others all the same.
        self.held_until = inf
        #: Whether the run gives way: it starts nothing more.
        self.is_over = False

    def starts_nothing(self, engine: Engine, *, is_busy: bool, streams: bool) -> bool:
        """Whether the run is to start nothing now: its process is to end, or its slice is used up,
        and others wait.

        The latter only where it would start something, and has started something here: else a
        slow machine would hand everything round and run nothing. It gives way once it is not
        `is_busy` with other nodes; until then it is held, but not while one of these `streams`:
        who reads a stream runs beside it. Asks the store, once a slice and before it gives way; a
        store that can't be asked is no reason.
        """
        if self.is_over or self._around.is_draining():
            self.held_until = inf
            return True
        now = self._around.clock()
        if now >= self.held_until:
            self._go_on(now)
            return False
        if engine.next_start() is None or (is_busy and streams):
            return False
        if self._is_held and is_busy:
            return True
        if not self._is_held and not self._is_used_up(now):
            return False
        return self._decide(now, is_busy=is_busy)

    @property
    def _is_held(self) -> bool:
        return self.held_until < inf

    def _is_used_up(self, now: float) -> bool:
        if self._until is None:
            self._until = now + self._slice_s
            return False
        return now >= self._until

    def _decide(self, now: float, *, is_busy: bool) -> bool:
        self._until, self.held_until = now + self._slice_s, inf
        if not self._others_wait():
            return False
        if is_busy:
            self.held_until = now + self._hold_s
        else:
            self.is_over = True
        return True

    def _go_on(self, now: float) -> None:
        """What is in flight took too long to be waited for."""
        self._slice_s = min(2 * self._slice_s, LONGEST_SLICE_S)
        self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S)
        self._until, self.held_until = now + self._slice_s, inf

    def _others_wait(self) -> bool:
        try:
            return self._around.store.others_wait(self._execution_id, WAITING_MS)
        except StoreUnavailable as error:
            _log.debug("could not ask who waits: %s", error)
            return False
