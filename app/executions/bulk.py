"""Commands to many executions at once."""

from __future__ import annotations

import logging
from collections.abc import Callable

from app.caller import Caller
from app.errors import StoreUnavailable
from app.executions.effects import Effects
from app.store.bulk import (
    COMMAND_BATCH,
    Action,
    Batch,
    BulkFilter,
    BulkStore,
    Recorded,
)

#: How long (s) a call carries commands out before it answers; the sweep does the rest.
WITHIN_S = 10.0

_log = logging.getLogger(__name__)


class BulkCommands:
    """Records commands, and carries out what it can before it answers."""

    def __init__(self, store: BulkStore, effects: Effects, clock: Callable[[], float]) -> None:
        self._store = store
        self._effects = effects
        self._clock = clock

    def command(self, caller: Caller, action: Action, wanted: BulkFilter) -> Recorded:
        """Command all of the caller's own executions that pass the filter, as they are now.

        Those of others are out of reach for an admin, too: one call must not stop everybody's.

        What is recorded is carried out, whatever dies next. Raises StoreUnavailable where
        nothing was recorded, or that isn't known.
        """
        recorded = self._store.record(caller, action, wanted)
        until = self._clock() + WITHIN_S
        try:
            while recorded.accepted and self._clock() < until:
                batch = self._store.carry_out(COMMAND_BATCH)
                if not batch.size:
                    break
                self._tell(batch)
        except StoreUnavailable as error:
            _log.warning("left commands to the sweep: %s", error)
        return recorded

    def _tell(self, batch: Batch) -> None:
        for done in batch.done:
            self._effects.tell(done.effect, done.action)
        if runnable := batch.runnable():
            self._effects.hint(runnable)
