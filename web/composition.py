"""The composition root of the API: settings in, services out."""

from __future__ import annotations

from functools import partial
from random import SystemRandom

from app.executions.workers import WorkerDirectory
from redis import Redis, RedisError

from app.config import Settings
from app.executions import build_execution_service
from app.executions.flows import FlowService
from app.ids import id_source
from app.nodes import load_catalogue
from app.store.database import Database
from app.store.flows import FlowStore
from app.store.readiness import present_revision, wanted_revision
from app.streams.client import connect
from web.services import HealthCheck, Services


def compose(settings: Settings) -> Services:
    """Connect the parts. Nothing is opened before the first request."""
    database = Database(
        settings.database_url, pool_size=settings.connection_pool_max, application_name="cg-web"
    )
    catalogue = load_catalogue(settings.node_modules)
    return Services(
        flows=FlowService(FlowStore(database), catalogue, id_source(SystemRandom())),
        executions=build_execution_service(settings, database, catalogue),
        workers=WorkerDirectory(database),
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
