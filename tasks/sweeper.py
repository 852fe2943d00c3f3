"""The sweep as a thread of a worker, beside its lease keeper."""

from __future__ import annotations

import logging
import threading

from app.config import Settings
from app.errors import StoreUnavailable
from app.recovery.sweep import Sweep, SweepOptions
from app.store.database import Database
from app.store.sweeps import PgSweepStore
from app.streams.publisher import EventPublisher
from tasks.process import WorkerProcess

_log = logging.getLogger(__name__)


class Sweeper:
    """Tries the beat at every interval, and sweeps when it is its turn."""

    def __init__(self, process: WorkerProcess, settings: Settings) -> None:
        database = Database(settings.database_url, pool_size=1, application_name="cg-sweep")
        self._interval_s = settings.recovery_scan_interval_ms / 1000
        self._stop = threading.Event()
        self._store = PgSweepStore(database, process.row.worker_id)
        self._publisher = EventPublisher(
            settings.redis_url,
            ttl_s=settings.event_stream_ttl_s,
            maxlen=settings.event_stream_maxlen,
        )
        self._sweep = Sweep(
            self._store,
            SweepOptions(
                recovers=settings.enable_recovery,
                most_crashes=settings.recovery_max_failure_count,
                interval_ms=settings.recovery_scan_interval_ms,
            ),
            publish=self._publisher.publish,
            messages=process.dispatcher,
            may_judge=process.leases.may_judge,
            pause=self._stop.wait,
        )
        self._thread = threading.Thread(target=self._loop, name="sweep", daemon=True)

    def start(self) -> None:
        """Sweep from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sweeping."""
        self._stop.set()
        self._thread.join(2)
        self._store.close()

    def fileno(self) -> int | None:
        """The connection's file descriptor: a forked child must close its copy."""
        return self._store.fileno()

    def _loop(self) -> None:
        while not self._stop.wait(self._interval_s):
            try:
                self._sweep.turn()
            except StoreUnavailable as error:
                _log.warning("could not sweep: %s", error)
