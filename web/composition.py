"""The composition root of the API: settings in, app out."""

from __future__ import annotations

from functools import partial
from random import SystemRandom

from flask import Flask
from redis import Redis, RedisError

from app.config import Settings
from app.executions.creation import KeyedCreation
from app.executions.flows import FlowService
from app.executions.listings import Listings
from app.executions.plans import PlanCache
from app.executions.service import ExecutionService
from app.executions.workers import WorkerDirectory
from app.ids import id_source
from app.nodes.registry import load_catalogue
from app.nodes.spec import Catalogue
from app.store.database import Database
from app.store.events import EventLog
from app.store.executions import ExecutionTable
from app.store.flows import FlowStore
from app.store.keys import KeyTable
from app.store.listings import ListingTable
from app.store.readiness import present_revision, wanted_revision
from app.streams.client import connect
from app.streams.publisher import EventPublisher
from app.streams.reader import redis_hub
from app.streams.signals import Signals
from tasks.dispatcher import make_dispatcher
from web.capacity import MAX_SOCKETS
from web.factory import build_app
from web.relay import Relay, register_relay
from web.services import HealthCheck, Services

_RELAY = "chaingraph.relay"


def compose(settings: Settings) -> Flask:
    """Connect the parts. Nothing is opened before the first request."""
    database = Database(
        settings.database_url, pool_size=settings.connection_pool_max, application_name="cg-web"
    )
    app = build_app(_services(settings, database), max_body_bytes=settings.max_body_bytes)
    hub = redis_hub(settings.redis_url, EventLog(database))
    app.extensions[_RELAY] = register_relay(app, hub, max_sockets=MAX_SOCKETS)
    return app


def relay_of(app: Flask) -> Relay:
    """The relay of an app that `compose` made."""
    relay: Relay = app.extensions[_RELAY]
    return relay


def _services(settings: Settings, database: Database) -> Services:
    catalogue = load_catalogue(settings.node_modules, settings.http_node_allow)
    executions = _executions(settings, database, catalogue)
    return Services(
        flows=FlowService(FlowStore(database), catalogue, id_source(SystemRandom())),
        executions=executions,
        creation=KeyedCreation(executions, KeyTable(database)),
        listings=Listings(ExecutionTable(database), ListingTable(database)),
        workers=WorkerDirectory(ExecutionTable(database)),
        catalogue=catalogue,
        health=HealthCheck(
            wanted_revision(),
            partial(present_revision, database),
            partial(_answers, connect(settings.redis_url, role="web")),
        ),
    )


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


def _executions(settings: Settings, database: Database, catalogue: Catalogue) -> ExecutionService:
    table = ExecutionTable(database)
    return ExecutionService(
        table,
        EventLog(database),
        PlanCache(catalogue),
        EventPublisher(
            settings.redis_url,
            ttl_s=settings.event_stream_ttl_s,
            maxlen=settings.event_stream_maxlen,
        ),
        Signals(connect(settings.redis_url, role="web")),
        make_dispatcher(settings, table.slots, role="web"),
        id_source(SystemRandom()),
        start_ttl_ms=settings.start_signal_timeout_ms,
    )
