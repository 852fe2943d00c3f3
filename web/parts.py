"""What the API is made of in each mode, and the use cases over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING

from redis import Redis, RedisError

from app.config import Settings
from app.executions.bulk import BulkCommands
from app.executions.control import Control
from app.executions.creation import KeyedCreation
from app.executions.effects import Effects
from app.executions.flows import FlowService
from app.executions.forking import Forking
from app.executions.listings import Listings
from app.executions.plans import PlanCache
from app.executions.secrets import SecretService
from app.executions.service import Dispatcher, ExecutionService
from app.executions.signalling import Signalling
from app.executions.takeover import Takeover
from app.executions.tracing import UNTRACED, Tracing
from app.executions.workers import WorkerDirectory
from app.ids import id_source
from app.local.listings import MemoryListingTable
from app.local.process import LocalProcess
from app.nodes.registry import load_catalogue
from app.nodes.spec import Catalogue
from app.store.bulk import BulkStore
from app.store.commands import PgCommandStore
from app.store.database import Database
from app.store.events import EventLog
from app.store.executions import ExecutionTable
from app.store.flow_lookup import CopyingLookup
from app.store.flows import FlowStore
from app.store.forks import ForkTable
from app.store.keys import KeyTable
from app.store.listings import ListingTable
from app.store.readiness import present_revision, wanted_revision
from app.store.secrets import SecretStore
from app.store.sessions import Sessions
from app.store.signals import SignalStore
from app.store.takeovers import TakeoverTable
from app.streams.client import connect
from app.streams.counted import CountedPublisher
from app.streams.hub import Hub
from app.streams.protocol import Publisher, SignalBox
from app.streams.publisher import EventPublisher
from app.streams.reader import redis_hub
from app.streams.signals import Signals
from app.vault import Keyring
from web.services import Check, HealthCheck, LocalHealthCheck, Services

if TYPE_CHECKING:
    from app.metrics.groups import ApiMetrics


@dataclass(frozen=True, slots=True)
class Parts:
    """Where rows, events, signals and hints go, and how the process ends."""

    #: Where executions are, and where flows, tokens and secrets are.
    sessions: Sessions
    flows: Sessions
    table: ExecutionTable
    listings: ListingTable
    plans: PlanCache
    catalogue: Catalogue
    publisher: Publisher
    signals: SignalBox
    dispatcher: Dispatcher
    hub: Hub
    health: Check
    keyring: Keyring
    #: Opens what the first requests would have to wait for. Raises StoreUnavailable.
    warm_up: Callable[[], object]
    end: Callable[[], object]

    def services(
        self,
        settings: Settings,
        metrics: ApiMetrics | None = None,
        tracing: Tracing = UNTRACED,
    ) -> Services:
        """The use cases behind the routes."""
        fresh_id = id_source(SystemRandom())
        executions = ExecutionService(
            self.table,
            EventLog(self.sessions),
            self.plans,
            self.publisher,
            self.signals,
            self.dispatcher,
            fresh_id,
            start_ttl_ms=settings.start_signal_timeout_ms,
            keyring=self.keyring,
            on_created=partial(_note_created, metrics, tracing),
            # Nobody watches what nobody has heard of.
            publishes=settings.event_publish == "always",
        )
        on_stop = metrics.streams.stopped if metrics else None
        effects = Effects(self.publisher, self.signals, self.dispatcher, on_stop)
        return Services(
            flows=FlowService(FlowStore(self.flows), self.catalogue, fresh_id, self.keyring),
            secrets=SecretService(SecretStore(self.flows), self.keyring, fresh_id),
            executions=executions,
            creation=KeyedCreation(executions, KeyTable(self.sessions)),
            forking=Forking(
                executions,
                self.table,
                ForkTable(self.sessions),
                KeyTable(self.sessions),
                self.plans,
                self.keyring,
                fresh_id,
                start_ttl_ms=settings.start_signal_timeout_ms,
            ),
            control=Control(
                executions,
                PgCommandStore(self.sessions),
                self.signals,
                effects,
                clock=time.monotonic,
                pause=time.sleep,
            ),
            signalling=Signalling(
                executions,
                SignalStore(self.sessions),
                effects,
                max_value_bytes=settings.max_value_bytes,
            ),
            takeover=Takeover(executions, TakeoverTable(self.sessions), effects),
            bulk=BulkCommands(BulkStore(self.sessions), effects, time.monotonic),
            listings=Listings(self.table, self.listings),
            workers=WorkerDirectory(self.table),
            catalogue=self.catalogue,
            health=self.health,
        )


def _note_created(metrics: ApiMetrics | None, tracing: Tracing, ids: Sequence[str]) -> None:
    if metrics is not None:
        metrics.streams.created(len(ids))
    tracing.created(ids)


def parts_of(
    settings: Settings, metrics: ApiMetrics | None = None, tracing: Tracing = UNTRACED
) -> Parts:
    """The parts of the mode that is set; what they do is counted in `metrics`."""
    if settings.execution_mode == "local":
        return local_parts(settings, metrics, tracing)
    return celery_parts(settings, metrics)


def celery_parts(settings: Settings, metrics: ApiMetrics | None = None) -> Parts:
    """PostgreSQL, Redis and Celery. Nothing is opened before the first request."""
    # Late: what the broker needs is loaded where there is one.
    from tasks.dispatcher import make_dispatcher

    databases = [
        Database(
            url,
            pool_size=settings.connection_pool_max,
            application_name="cg-web",
            on_locked_out=metrics.store.locked_out if metrics else None,
        )
        for url in settings.database_urls
    ]
    flows, database = databases[0], databases[-1]
    catalogue = load_catalogue(settings.node_modules, settings.http_node_allow)
    lookup = CopyingLookup(flows, database) if settings.has_two_databases else None
    table = ExecutionTable(database, limit=settings.queue_concurrency, flows=lookup)
    client = connect(settings.redis_url, role="web")
    log = EventLog(database)
    watch = log.watch if settings.event_publish == "watched" else None
    hub = redis_hub(settings.redis_url, log, watch)
    publisher = EventPublisher(
        settings.redis_url,
        ttl_s=settings.event_stream_ttl_s,
        maxlen=settings.event_stream_maxlen,
    )

    def warm_up() -> None:
        for each in databases:
            each.warm_up(settings.connection_pool_min)

    def end() -> None:
        hub.close()
        publisher.close()
        client.close()

    wanted = wanted_revision()
    return Parts(
        sessions=database,
        flows=flows,
        table=table,
        listings=ListingTable(database),
        plans=PlanCache(catalogue),
        catalogue=catalogue,
        publisher=CountedPublisher(publisher, metrics.streams) if metrics else publisher,
        signals=Signals(client),
        dispatcher=make_dispatcher(settings, table.slots, role="web"),
        hub=hub,
        health=HealthCheck(
            wanted,
            lambda: [present_revision(each, wanted) for each in databases],
            partial(_answers, client),
        ),
        keyring=Keyring(settings.secret_key, settings.secret_key_old),
        warm_up=warm_up,
        end=end,
    )


def local_parts(
    settings: Settings, metrics: ApiMetrics | None = None, tracing: Tracing = UNTRACED
) -> Parts:
    """This process alone; it runs what is started from now on."""
    catalogue = load_catalogue(settings.node_modules, settings.http_node_allow)
    process = LocalProcess(settings, catalogue, metrics.shared if metrics else None, tracing)
    process.start()
    return Parts(
        sessions=process.database,
        flows=process.database,
        table=process.table,
        listings=MemoryListingTable(process.database),
        plans=process.plans,
        catalogue=catalogue,
        publisher=process.publisher,
        signals=process.streams,
        dispatcher=process.dispatcher,
        hub=process.hub,
        health=LocalHealthCheck(),
        keyring=process.keyring,
        warm_up=lambda: None,
        end=process.end,
    )


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False
