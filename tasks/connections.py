"""What a worker process speaks to: databases, events, signals, the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.config import Settings
from app.executions.secrets import OwnersVault
from app.store.executions import ExecutionTable
from app.store.records import WorkerRow
from app.store.secrets import SecretStore
from app.streams.client import connect
from app.streams.counted import CountedPublisher
from app.streams.protocol import Publisher
from app.streams.publisher import EventPublisher
from app.streams.signals import Signals
from app.vault import Keyring
from tasks.databases import Databases
from tasks.dispatcher import make_dispatcher

if TYPE_CHECKING:
    from app.metrics.groups import WorkerMetrics


class Connections:
    """One process's own: made after its fork, each opened once it is needed."""

    def __init__(self, settings: Settings, row: WorkerRow, metrics: WorkerMetrics | None) -> None:
        on_locked_out = metrics.store.locked_out if metrics else None
        self.databases = Databases(settings, f"cg-{row.pid}", on_locked_out)
        self.executions = self.databases.executions
        self.table = ExecutionTable(self.executions)
        self.publisher = make_publisher(settings, metrics)
        self.signals = Signals(connect(settings.redis_url, role="worker"))
        self.dispatcher = make_dispatcher(settings, self.table.slots, role="worker")
        keyring = Keyring(settings.secret_key, settings.secret_key_old)
        self.vault = OwnersVault(keyring, SecretStore(self.databases.flows))


def make_publisher(settings: Settings, metrics: WorkerMetrics | None) -> Publisher:
    """Make what publishes the events of a process, and counts them if that is wanted."""
    publisher = EventPublisher(
        settings.redis_url,
        ttl_s=settings.event_stream_ttl_s,
        maxlen=settings.event_stream_maxlen,
    )
    return CountedPublisher(publisher, metrics.streams) if metrics else publisher
