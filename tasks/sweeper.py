"""The sweep of a worker: on a connection of its own, with a publisher of its own; and what
moves notes where there are two databases.
"""

from __future__ import annotations

from app.config import Settings
from app.executions.effects import Effects
from app.recovery.notes import NoteMover
from app.recovery.sweep import SweepOptions
from app.recovery.sweeper import Sweeper
from app.store.database import Database
from app.store.notes import NoteStore
from app.store.sweeps import PgSweepStore
from app.streams.client import connect
from app.streams.signals import Signals
from tasks.connections import make_publisher
from tasks.process import WorkerProcess


def make_note_mover(settings: Settings) -> NoteMover | None:
    """Make what moves notes between two databases; None where there is one."""
    if not settings.has_two_databases:
        return None
    flows, executions = (
        Database(url, pool_size=1, application_name="cg-notes") for url in settings.database_urls
    )
    return NoteMover(NoteStore(executions, flows), settings.retention_days)


def make_sweeper(process: WorkerProcess, settings: Settings) -> Sweeper:
    """Make the sweeper of a worker's parent process."""
    metrics = process.metrics
    database = Database(
        settings.database_url_executions,
        pool_size=1,
        application_name="cg-sweep",
        on_locked_out=metrics.store.locked_out if metrics else None,
    )
    publisher = make_publisher(settings, metrics)
    signals = Signals(connect(settings.redis_url, role="worker"))
    return Sweeper(
        PgSweepStore(database, process.row.worker_id, limit=settings.queue_concurrency),
        SweepOptions(
            recovers=settings.enable_recovery,
            most_crashes=settings.recovery_max_failure_count,
            interval_ms=settings.recovery_scan_interval_ms,
            retention_days=settings.retention_days,
        ),
        publish=publisher.publish,
        messages=process.dispatcher,
        may_judge=process.leases.may_judge,
        tell=Effects(
            publisher, signals, process.dispatcher, metrics.streams.stopped if metrics else None
        ).tell,
        meter=metrics.sweeps if metrics else None,
        on_recovered=process.tracing.recovered,
    )
