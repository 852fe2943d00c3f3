"""One process that is API, store and worker at once: local mode, nothing kept after its end.

What runs here is what runs in production (executor, leases, sweep, publisher, hub); only the
database and the streams are this process's own, and a hint is handed to a thread of it.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.config import Settings
from app.executions.effects import Effects
from app.executions.executor import Executor
from app.executions.lanes import Lanes
from app.executions.listener import CommandListener
from app.executions.meter import UNMEASURED
from app.executions.plans import PlanCache
from app.executions.secrets import OwnersVault
from app.executions.steps import Step
from app.executions.surroundings import ChildLimits, Surroundings
from app.executions.tracing import UNTRACED, Tracing
from app.local.database import MemoryDatabase
from app.local.dispatcher import LocalDispatcher
from app.local.executions import MemoryExecutionTable
from app.local.streams import MemoryInbox, MemoryReader, MemoryStreams
from app.logs import name_process
from app.nodes.queues import DEFAULT_QUEUE
from app.nodes.spec import Catalogue
from app.recovery.leases import LeaseKeeper
from app.recovery.sweep import SweepOptions
from app.recovery.sweeper import Sweeper
from app.store.events import EventLog
from app.store.leases import PgLeaseStore
from app.store.records import WorkerRow
from app.store.runs import PgRunStore
from app.store.secrets import SecretStore
from app.store.sweeps import PgSweepStore
from app.streams.counted import CountedPublisher
from app.streams.hub import Hub
from app.streams.protocol import Publisher
from app.vault import Keyring

if TYPE_CHECKING:
    from app.metrics.groups import SharedMetrics, WorkerMetrics


class LocalProcess:
    """Store, streams and a worker in this process. Runs nothing before `start`."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        shared: SharedMetrics | None = None,
        tracing: Tracing = UNTRACED,
    ) -> None:
        self._tracing = tracing
        metrics = _metrics(shared)
        self._meter = metrics.runs if metrics else UNMEASURED
        self.database = MemoryDatabase(_utc_now)
        self.streams = MemoryStreams(
            time.monotonic, ttl_s=settings.event_stream_ttl_s, maxlen=settings.event_stream_maxlen
        )
        self.publisher: Publisher = (
            CountedPublisher(self.streams, metrics.streams) if metrics else self.streams
        )
        self.table = MemoryExecutionTable(self.database, limit=settings.queue_concurrency)
        self.log = EventLog(self.database)
        self.catalogue = catalogue
        self.plans = PlanCache(catalogue)
        # What is kept here ends with the process: any key will do.
        self.keyring = Keyring(settings.secret_key or secrets.token_hex(32))
        watch = self.log.watch if settings.event_publish == "watched" else None
        self.hub = Hub(self.log, self.streams, MemoryReader(self.streams), watch=watch)
        self._settings = settings
        self._row = _worker_row(settings)
        self._lanes = Lanes()
        self._is_ending = threading.Event()
        self._executor = Executor(
            self._row.worker_id,
            self._row.lease_ms,
            self._open_surroundings,
            lambda: secrets.token_hex(8),
            most_crashes=settings.recovery_max_failure_count,
        )
        self.dispatcher = LocalDispatcher(
            self._executor, self.table.next_runnable, self._lanes, self._row.concurrency
        )
        on_stop = metrics.streams.stopped if metrics else None
        self._effects = Effects(self.publisher, self.streams, self.dispatcher, on_stop)
        self._leases = LeaseKeeper(
            PgLeaseStore(self.database, self._row),
            self._executor.running,
            heartbeat_s=settings.worker_heartbeat_interval_ms / 1000,
            lease_s=self._row.lease_ms / 1000,
            is_draining=self._is_ending.is_set,
        )
        self._listener = CommandListener(
            MemoryInbox(self.streams, self._row.worker_id), self.streams, self._executor.running
        )
        self._sweeper = self._make_sweeper(metrics)

    def start(self) -> None:
        """Take what is to be run, from now on."""
        name_process(workerId=self._row.worker_id)
        self._leases.start()
        self._listener.start()
        self._sweeper.start()

    def end(self) -> None:
        """End: what runs goes no further than its next node boundary."""
        self._is_ending.set()
        self._sweeper.stop()
        self.dispatcher.close()
        self._listener.stop()
        self._leases.stop(unregister=True)
        self.hub.close()

    def _make_sweeper(self, metrics: WorkerMetrics | None) -> Sweeper:
        settings = self._settings
        return Sweeper(
            PgSweepStore(self.database, self._row.worker_id, limit=settings.queue_concurrency),
            SweepOptions(
                recovers=settings.enable_recovery,
                most_crashes=settings.recovery_max_failure_count,
                interval_ms=settings.recovery_scan_interval_ms,
            ),
            publish=self.publisher.publish,
            messages=self.dispatcher,
            may_judge=self._leases.may_judge,
            tell=self._effects.tell,
            meter=metrics.sweeps if metrics else None,
            on_recovered=self._tracing.recovered,
        )

    def _open_surroundings(self) -> Surroundings:
        return Surroundings(
            store=PgRunStore(self.database, limit=self._settings.queue_concurrency),
            publish=self.publisher.publish,
            plans=self.plans,
            launch=self._launch,
            clock=time.monotonic,
            pause=time.sleep,
            lease_s=self._row.lease_ms / 1000,
            max_value_bytes=self._settings.max_value_bytes,
            is_draining=self._is_ending.is_set,
            let_go=self.streams.tell_let_go,
            vault=OwnersVault(self.keyring, SecretStore(self.database)),
            herald=self._effects,
            meter=self._meter,
            tracing=self._tracing,
            limits=ChildLimits(
                self._settings.max_execution_depth,
                self._settings.max_children_per_parent,
                self._settings.max_items_per_foreach,
            ),
            only_watched=self._settings.event_publish == "watched",
        )

    def _launch(self, step: Step) -> None:
        if step.start.node.spec.in_place:
            step.run()
        else:
            self._lanes.run(step.run)


def _metrics(shared: SharedMetrics | None) -> WorkerMetrics | None:
    if shared is None:
        return None
    from app.metrics.groups import WorkerMetrics

    return WorkerMetrics(shared)


def _worker_row(settings: Settings) -> WorkerRow:
    host, pid = socket.gethostname(), os.getpid()
    return WorkerRow(
        worker_id=settings.worker_id or f"{host}:{pid}:{secrets.token_hex(3)}",
        parent_worker_id=None,
        hostname=host,
        pid=pid,
        pool="threads",
        concurrency=settings.worker_concurrency,
        queues=[DEFAULT_QUEUE],
        lease_ms=settings.worker_claim_timeout_ms,
        lock_key=1,
    )


def _utc_now() -> datetime:
    return datetime.now(UTC)
