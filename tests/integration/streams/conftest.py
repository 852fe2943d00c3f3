"""An API process with nothing but the relay, and a log to write to by hand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import psycopg2
import pytest
from flask import Flask
from prometheus_client import CollectorRegistry
from redis import Redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket
from werkzeug.serving import make_server

from app.events.wire import data_text, envelope, envelopes, timestamp
from app.local.database import MemoryDatabase
from app.local.rows import EventBatchRow, ExecutionRow
from app.local.streams import MemoryReader, MemoryStreams
from app.metrics.catalogue import RelayMetrics
from app.store.database import Database
from app.store.events import EventLog
from app.streams import keys
from app.streams.hub import Hub
from app.streams.publisher import EventPublisher
from app.streams.reader import redis_hub
from tests.waiting import wait_until
from web.access import Access
from web.event_routes import register_relay
from web.problems import register_problems
from web.relay import Relay
from web.security import register_security
from web.sockets import Patience

MAX_SOCKETS = 4
#: Clients here are threads of a busy machine; those that are silent are tested with less.
PATIENCE = Patience(ping_every_s=0.3)
IMPATIENCE = Patience(ping_every_s=0.3, silent_s=0.6)


class History:
    """Writes executions and their events as a worker commits and publishes them."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self._connection = psycopg2.connect(database_url)
        self._connection.autocommit = True
        self.redis = Redis.from_url(redis_url, protocol=2)
        self.publisher = EventPublisher(redis_url, ttl_s=60, maxlen=1000)

    def execute(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, args)
            return cursor.fetchall() if cursor.description else []

    def create(self, execution_id: str = "EX1", *, publish: bool = True) -> str:
        """Insert an execution with its first event, whose index is -1."""
        self.execute(
            "INSERT INTO chaingraph_executions (id, flow_id, flow_version, owner_id,"
            " root_execution_id, created_at, updated_at, options, status)"
            " VALUES (%s, 'V2', 1, 'local', %s, now(), now(), '{}', 'running')",
            execution_id,
            execution_id,
        )
        [(at,)] = self.execute(
            "INSERT INTO chaingraph_event_batches"
            " (execution_id, first_index, written_at, types, data)"
            " VALUES (%s, -1, date_trunc('milliseconds', now()), ARRAY['execution:created'],"
            " '[{}]') RETURNING written_at",
            execution_id,
        )
        if publish:
            created = envelope(execution_id, -1, "execution:created", timestamp(at), "{}")
            self.publish(execution_id, -1, [created])
        return execution_id

    def commit(self, execution_id: str, *events: tuple[str, Any]) -> tuple[int, list[bytes]]:
        """Append events in one transaction, the end of the execution among them."""
        encoded = [(event_type, json.dumps(data)) for event_type, data in events]
        end = encoded[-1][0].removeprefix("execution:")
        status = end if end in {"completed", "failed", "stopped"} else "running"
        self.execute("BEGIN")
        [(first, at)] = self.execute(
            "UPDATE chaingraph_executions SET last_event_index = last_event_index + %s,"
            " status = %s, completed_at = CASE WHEN %s <> 'running' THEN now() END"
            " WHERE id = %s RETURNING last_event_index - %s + 1,"
            " date_trunc('milliseconds', clock_timestamp())",
            len(encoded),
            status,
            status,
            execution_id,
            len(encoded),
        )
        rows = [(execution_id, first + at_, t, at, data) for at_, (t, data) in enumerate(encoded)]
        self.execute(
            "INSERT INTO chaingraph_event_batches"
            " (execution_id, first_index, written_at, types, data) VALUES (%s, %s, %s, %s, %s)",
            execution_id,
            first,
            at,
            [event_type for event_type, _ in encoded],
            data_text(encoded),
        )
        self.execute("COMMIT")
        lines = [envelope(execution_id, i, t, timestamp(at), data) for _, i, t, at, data in rows]
        return first, lines

    def tell(self, execution_id: str, *events: tuple[str, Any]) -> None:
        """Append events and publish them: again where a busy machine was too slow for it."""
        first, lines = self.commit(execution_id, *events)
        self.publish(execution_id, first, lines)

    def publish(self, execution_id: str, first: int, lines: list[bytes]) -> None:
        wait_until(
            lambda: self.publisher.publish(execution_id, first, lines), "events are published"
        )

    def forget(self, execution_id: str) -> None:
        """Delete the Redis stream."""
        self.redis.delete(keys.events(execution_id))

    def lose_streams(self) -> None:
        """Do as a Redis that starts anew."""
        self.redis.flushall()

    def delete(self, execution_id: str) -> None:
        """Do as retention does."""
        self.execute("DELETE FROM chaingraph_executions WHERE id = %s", execution_id)
        self.execute("DELETE FROM chaingraph_event_batches WHERE execution_id = %s", execution_id)

    def close(self) -> None:
        self.publisher.close()
        self.redis.close()
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Received:
    """What a client got until the socket was closed."""

    frames: list[dict[str, Any]]
    code: int

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for frame in self.frames for event in frame.get("events", ())]

    @property
    def indexes(self) -> list[int]:
        return [event["index"] for event in self.events]


def receive_all(socket: ClientConnection, within_s: float = 60.0) -> Received:
    frames = []
    try:
        while True:
            frames.append(json.loads(socket.recv(timeout=within_s)))
    except ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd else 1006
    return Received(frames, code)


@dataclass(frozen=True, slots=True)
class Served:
    """A running server, and how to reach it."""

    port: int
    relay: Relay
    hub: Hub
    metrics: CollectorRegistry

    def connect(self, execution_id: str = "EX1", **query: Any) -> ClientConnection:
        options = query.pop("options", {})
        path = f"/api/v1/executions/{execution_id}/events"
        url = f"ws://127.0.0.1:{self.port}{path}?{urlencode(query)}"
        return connect_websocket(url, **{"ping_interval": None, "max_size": None} | options)


class LocalHistory:
    """The same in local mode, where a process has its own tables and streams."""

    def __init__(self) -> None:
        self.database = MemoryDatabase(lambda: datetime.now(UTC))
        self.streams = MemoryStreams(time.monotonic)

    def create(self, execution_id: str = "EX1", *, publish: bool = True) -> str:
        """Insert an execution with its first event, whose index is -1."""
        at = _whole_ms(self.database.now())
        tables = self.database.tables
        tables.executions[execution_id] = ExecutionRow(
            id=execution_id,
            flow_id="V2",
            flow_version=1,
            owner_id="local",
            root_execution_id=execution_id,
            created_at=at,
            updated_at=at,
            options="{}",
            status="running",
            last_event_index=-2,
        )
        first, lines = self.commit(execution_id, ("execution:created", {}))
        if publish:
            self.publish(execution_id, first, lines)
        return execution_id

    def commit(self, execution_id: str, *events: tuple[str, Any]) -> tuple[int, list[bytes]]:
        """Append events in one step, the end of the execution among them."""
        encoded = [(event_type, json.dumps(data)) for event_type, data in events]
        end = encoded[-1][0].removeprefix("execution:")
        at = _whole_ms(self.database.now())
        with self.database.reading() as tables:
            row = tables.executions[execution_id]
            first = row.last_event_index + 1
            row.last_event_index += len(encoded)
            if end in {"completed", "failed", "stopped"}:
                row.status, row.completed_at = end, at
            batch = EventBatchRow(
                execution_id=execution_id,
                first_index=first,
                written_at=at,
                types=[event_type for event_type, _ in encoded],
                data=data_text(encoded),
            )
            tables.event_batches.setdefault(execution_id, []).append(batch)
        return first, envelopes(execution_id, first, at, encoded)

    def tell(self, execution_id: str, *events: tuple[str, Any]) -> None:
        """Append events and publish them."""
        first, lines = self.commit(execution_id, *events)
        self.publish(execution_id, first, lines)

    def publish(self, execution_id: str, first: int, lines: list[bytes]) -> None:
        assert self.streams.publish(execution_id, first, lines)

    def forget(self, execution_id: str) -> None:
        """Lose the streams; there is one."""
        self.streams.clear()

    def lose_streams(self) -> None:
        """Lose them all."""
        self.streams.clear()

    def delete(self, execution_id: str) -> None:
        """Do as retention does."""
        with self.database.reading() as tables:
            del tables.executions[execution_id]
            del tables.event_batches[execution_id]


def _whole_ms(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


MODES = ("celery", "local")
#: What the tests of these modules hold, they hold in both modes…
IN_BOTH = frozenset({"test_relay", "test_log", "test_event_streams"})
#: … but those that look at servers.
SERVERS = frozenset({"redis", "database_url", "serve"})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the relay's tests in both modes."""
    if "mode" in metafunc.fixturenames:
        name = metafunc.module.__name__.rpartition(".")[2]
        is_in_both = name in IN_BOTH and not SERVERS & set(metafunc.fixturenames)
        metafunc.parametrize("mode", MODES if is_in_both else MODES[:1], scope="function")


@pytest.fixture
def history(mode: str, request: pytest.FixtureRequest) -> Iterator[History | LocalHistory]:
    if mode == "local":
        yield LocalHistory()
        return
    urls = request.getfixturevalue("database_url"), request.getfixturevalue("redis_url")
    history = History(*urls)
    yield history
    history.close()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, protocol=2) as client:
        yield client


class Serve:
    """Starts servers and ends them with the test."""

    def __init__(self) -> None:
        self._ends: list[Callable[[], object]] = []

    def __call__(
        self,
        database_url: str,
        redis_url: str,
        *,
        max_sockets: int = MAX_SOCKETS,
        patience: Patience = PATIENCE,
    ) -> Served:
        database = Database(database_url, application_name="cg-web")
        hub = redis_hub(redis_url, EventLog(database))
        return self.over(hub, database.engine.dispose, max_sockets=max_sockets, patience=patience)

    def over(
        self,
        hub: Hub,
        *ends: Callable[[], object],
        access: Access | None = None,
        max_sockets: int = MAX_SOCKETS,
        patience: Patience = PATIENCE,
    ) -> Served:
        """Serve what a hub has."""
        app = Flask("relay")
        access = access or Access()
        register_security(app, access)
        register_problems(app)
        registry = CollectorRegistry()
        relay = register_relay(
            app,
            hub,
            max_sockets=max_sockets,
            patience=patience,
            access=access,
            meter=RelayMetrics(registry),
        )

        @app.get("/api/v1/executions/<execution_id>/events")
        def page(execution_id: str) -> str:
            return f"the page of {execution_id}"

        server = make_server("127.0.0.1", 0, app, threaded=True)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self._ends += [
            relay.drain,
            server.shutdown,
            thread.join,
            server.server_close,
            relay.close,
            hub.close,
            *ends,
        ]
        return Served(server.port, relay, hub, registry)

    def end(self) -> None:
        for end in self._ends:
            end()


@pytest.fixture
def serve() -> Iterator[Serve]:
    serve = Serve()
    yield serve
    serve.end()


@pytest.fixture
def patience() -> Patience:
    """With whom `served` is patient; a test may say otherwise."""
    return PATIENCE


@pytest.fixture
def served(
    mode: str,
    history: History | LocalHistory,
    patience: Patience,
    request: pytest.FixtureRequest,
) -> Served:
    # Asked for so that a test which does not ask for it itself runs in both modes.
    serve: Serve = request.getfixturevalue("serve")
    if isinstance(history, LocalHistory):
        log = EventLog(history.database)
        return serve.over(
            Hub(log, history.streams, MemoryReader(history.streams)), patience=patience
        )
    urls = request.getfixturevalue("database_url"), request.getfixturevalue("redis_url")
    return serve(*urls, patience=patience)
