"""The sweep as a thread of a process, beside its lease keeper."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from app.errors import StoreUnavailable
from app.recovery.sweep import Messages, OnRecovered, Publish, Sweep, SweepMeter, SweepOptions, Tell
from app.store.refusals import REFUSALS
from app.store.sweeps import PgSweepStore

#: How long (s) stopping waits for a turn that is under way.
STOPS_WITHIN_S = 2.0

_log = logging.getLogger(__name__)


class Sweeper:
    """Tries the beat at every interval, and sweeps when it is its turn."""

    def __init__(
        self,
        store: PgSweepStore,
        options: SweepOptions,
        *,
        publish: Publish,
        messages: Messages,
        may_judge: Callable[[], bool],
        tell: Tell,
        meter: SweepMeter | None = None,
        on_recovered: OnRecovered | None = None,
    ) -> None:
        self._store = store
        self._interval_s = options.interval_ms / 1000
        self._stop = threading.Event()
        self._sweep = Sweep(
            store,
            options,
            publish=publish,
            messages=messages,
            may_judge=may_judge,
            pause=self._stop.wait,
            tell=tell,
            clock=time.monotonic,
            meter=meter,
            on_recovered=on_recovered,
        )
        self._thread = threading.Thread(target=self._loop, name="sweep", daemon=True)

    def start(self) -> None:
        """Sweep from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sweeping."""
        self._stop.set()
        self._thread.join(STOPS_WITHIN_S)
        self._store.close()

    def fileno(self) -> int | None:
        """The connection's file descriptor: a forked child must close its copy."""
        return self._store.fileno()

    def _loop(self) -> None:
        wait_s = self._interval_s
        while not self._stop.wait(wait_s):
            try:
                wait_s = self._sweep.turn()
            except StoreUnavailable as error:
                _log.warning("could not sweep: %s", error)
                wait_s = self._interval_s
            except REFUSALS:
                _log.exception("could not sweep")
                wait_s = self._interval_s
