"""Behind a pooler that gives each transaction to another session: nothing is prepared, and the
lease alone tells who is dead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg2
import pytest

from app.cli import schema
from app.config import load_settings
from app.executions.run import RunEnd
from app.recovery.leases import LeaseKeeper
from app.store.database import SESSION_SETTINGS, Database, _written_out
from app.store.leases import PgLeaseStore
from app.store.records import WorkerRow
from app.store.sweeps import PgSweepStore
from tests.integration.executions.process import Process
from tests.integration.store.test_statement_plans import statements
from tests.integration.test_operations_queries import DOCUMENT
from tests.integration.web.conftest import GREETING
from tests.openapi import CheckedClient
from tests.pgbouncer import PgBouncer
from tests.pooler import Pooler
from tests.programs import PGBOUNCER_BIN
from tests.world import PgWorld
from web import create_app
from web.composition import end

API = "/api/v1"
ADVISORY = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
#: Our own, and a PgBouncer in each mode that it knows where there is one.
KINDS = ("own", "transaction", "session") if PGBOUNCER_BIN else ("own",)

AnyPooler = Pooler | PgBouncer


def _pooler(url: str, kind: str) -> AnyPooler:
    if kind == "own":
        return Pooler(url)
    assert PGBOUNCER_BIN
    return PgBouncer(PGBOUNCER_BIN, url, mode="session" if kind == "session" else "transaction")


@pytest.fixture
def world(database_url: str) -> Iterator[PgWorld]:
    world = PgWorld(database_url)
    yield world
    world.close()


@pytest.fixture(params=KINDS)
def pooler(database_url: str, request: pytest.FixtureRequest) -> Iterator[AnyPooler]:
    pooler = _pooler(database_url, request.param)
    yield pooler
    pooler.close()


def worker_row(worker_id: str) -> WorkerRow:
    return WorkerRow(worker_id, None, "host", 1, "threads", 1, ["default"], 1000, 7)


def test_it_is_noticed_where_a_connection_is_opened(database_url: str, pooler: AnyPooler) -> None:
    for url, is_pooled in ((database_url, False), (pooler.url, True)):
        database = Database(url)
        line = database.open()
        with database.session() as session:
            assert (line.is_pooled, session.is_pooled) == (is_pooled, is_pooled)
        line.close()
        database.engine.dispose()


def test_an_execution_is_created_run_and_shown(
    world: PgWorld, pooler: AnyPooler, redis_url: str
) -> None:
    app = create_app(load_settings({"DATABASE_URL": pooler.url, "REDIS_URL": redis_url}))
    app.test_client_class = CheckedClient
    client = app.test_client()
    process = Process(world, url=pooler.url)
    try:
        flow_id = client.post(f"{API}/flows", json=GREETING).get_json()["id"]
        inputs = {"a": {"text": "100 % of $1"}}
        wanted = {"flowId": flow_id, "autostart": True, "inputs": inputs}
        created = client.post(f"{API}/executions", json=wanted).get_json()
        assert process.run(created["id"]) is RunEnd.FINISHED
        shown = client.get(f"{API}/executions/{created['id']}").get_json()
        assert shown["outputs"] == {"b": {"text": "100 % of $1"}}
        stopped = client.post(f"{API}/executions", json={"flowId": flow_id}).get_json()
        answer = client.post(f"{API}/executions/{stopped['id']}/stop")
        assert (answer.status_code, answer.get_json()["status"]) == (202, "stopped")
    finally:
        process.end()
        end(app)


def test_a_process_holds_no_lock_and_is_taken_for_dead_by_its_lease_alone(
    world: PgWorld, pooler: AnyPooler
) -> None:
    database = Database(pooler.url)
    leases = PgLeaseStore(database, worker_row("w1"))
    keeper = LeaseKeeper(leases, list, heartbeat_s=0.05, lease_s=1)
    sweeps = PgSweepStore(world.database, "w2")
    try:
        keeper.renew()
        keeper.renew()
        assert world.one(ADVISORY) == 0
        assert world.one("SELECT count(*) FROM chaingraph_workers") == 1
        leases.close()
        assert sweeps.unlocked() == set()
    finally:
        sweeps.close()
        database.engine.dispose()


def test_only_a_database_that_is_current_is_migrated_through_it(
    world: PgWorld, pooler: AnyPooler
) -> None:
    assert schema.upgrade(pooler.url).is_current
    with world.connect() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE alembic_version SET version_num = 'older'")
    with pytest.raises(schema.SchemaError, match="DATABASE_URL of the server itself"):
        schema.upgrade(pooler.url)
    assert world.one(ADVISORY) == 0


def test_without_a_pooler_a_process_holds_its_lock(world: PgWorld) -> None:
    leases = PgLeaseStore(world.database, worker_row("w1"))
    leases.register()
    assert world.one(ADVISORY) == 1
    leases.close()


def test_every_statement_can_be_sent_unprepared(world: PgWorld) -> None:
    refused: dict[str, str] = {}
    for statement in statements():
        text, _ = _written_out(statement, [])
        nothing = dict.fromkeys(re.findall(r"%\((\w+)\)s", text))
        with world.connect() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"EXPLAIN {text}", nothing)
            except psycopg2.Error as error:
                refused[statement.name] = str(error)
    assert refused == {}


def test_the_document_gives_sessions_behind_a_pooler_what_they_need() -> None:
    told = dict(re.findall(r"SET (\w+) = '(\w+)';", DOCUMENT.read_text()))
    assert told == {name: SESSION_SETTINGS[name] for name in told}
    assert told.keys() >= {"timezone", "lock_timeout", "idle_in_transaction_session_timeout"}
