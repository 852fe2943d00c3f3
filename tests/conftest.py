"""Real servers for every test: one PostgreSQL and one Valkey for each pytest process.

`database_url` is a migrated database of the test's own, copied from a template; `redis_url` is
an emptied Valkey. What needs a database for longer than one test asks for `new_database`.
"""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, settings
from redis import Redis

from app.cli import schema
from app.embedded.postgres import EmbeddedPostgres, prepare_postgres
from app.embedded.valkey import EmbeddedValkey, prepare_valkey
from app.supervisor.guardian import Guardian
from tests.programs import PG_BIN, VALKEY_BIN
from tests.waiting import wait_until

TEMPLATE = "migrated"

READY_WITHIN_S = 60.0

# A machine that is busy with other tests is no fault of the one that is looked at. The examples
# are the same each time, so that a failure is of the change at hand; `searching` looks for others.
_PATIENT: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", derandomize=True, **_PATIENT)
settings.register_profile("searching", **_PATIENT)
settings.load_profile("repeatable")

# Who starts us in the background has SIGINT ignored, and what we start would inherit that.
signal.signal(SIGINT, signal.default_int_handler)

KINDS = ("unit", "integration", "system", "chaos")

#: What takes longest begins first, so that the processes of `make test` end together.
LONGEST = (
    "chaos/test_session.py",
    "system/test_run_command.py",
    "system/test_dev.py",
    "system/survival/test_kills.py",
    "system/test_corpus.py",
    "system/survival/test_redis.py",
    "system/survival/test_broker.py",
    "system/survival/test_drains.py",
    "system/test_refused_starts.py",
    "system/test_stack.py",
)
_TESTS = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test by the folder it lies in; leave out what is to be asked for; sort by length."""
    for item in items:
        for kind in KINDS:
            if kind == item.path.relative_to(_TESTS).parts[0]:
                item.add_marker(kind)
    if "soak" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("soak")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)
    items.sort(key=_place_in_line)


def _place_in_line(item: pytest.Item) -> int:
    path = item.path.relative_to(_TESTS).as_posix()
    return LONGEST.index(path) if path in LONGEST else len(LONGEST)


@pytest.fixture(scope="session")
def guardian() -> Iterator[Guardian]:
    """Ends the session's servers, also when pytest is killed."""
    guardian = Guardian()
    yield guardian
    guardian.close()


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """A directory for servers' data, open to the account that PostgreSQL runs as."""
    directory = Path(tempfile.mkdtemp(prefix="chaingraph-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres(server_directory: Path, guardian: Guardian) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this session. Not flushed to disk: it has to outlive processes only."""
    server = prepare_postgres(
        server_directory / "postgres", PG_BIN, fsync="off", synchronous_commit="off"
    )
    with (server_directory / "postgres.log").open("wb") as log:
        process = subprocess.Popen(
            server.command(),
            stdout=log,
            stderr=log,
            start_new_session=True,
            **server.popen_arguments(),
        )
    guardian.watch(process.pid, SIGINT, rank=0)
    wait_until(server.is_ready, "PostgreSQL is ready")
    yield server
    process.send_signal(SIGINT)
    process.wait(timeout=READY_WITHIN_S)
    guardian.forget(process.pid)
    server.remove_sockets()


@pytest.fixture(scope="session")
def valkey(server_directory: Path, guardian: Guardian) -> Iterator[EmbeddedValkey]:
    """A Valkey of this session."""
    server = prepare_valkey(server_directory / "valkey", VALKEY_BIN)
    with (server_directory / "valkey.log").open("wb") as log:
        process = subprocess.Popen(server.command(), stdout=log, stderr=log, start_new_session=True)
    guardian.watch(process.pid, SIGTERM, rank=0)
    wait_until(server.is_ready, "Valkey is ready")
    yield server
    process.terminate()
    process.wait(timeout=READY_WITHIN_S)
    guardian.forget(process.pid)


@pytest.fixture(scope="session")
def postgres_url(postgres: EmbeddedPostgres) -> str:
    """The session's PostgreSQL, its maintenance database."""
    return postgres.url("postgres")


@pytest.fixture(scope="session")
def new_database(postgres: EmbeddedPostgres) -> Callable[[], str]:
    """Make a migrated database; return its URL."""
    postgres.ensure_database(TEMPLATE)
    schema.upgrade(postgres.url(TEMPLATE))
    numbers = itertools.count(1)

    def make() -> str:
        name = f"test_{next(numbers)}"
        _execute(postgres.url("postgres"), f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return postgres.url(name)

    return make


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the test's own without any table."""
    postgres.ensure_database("empty")
    yield postgres.url("empty")
    _execute(postgres.url("postgres"), "DROP DATABASE empty WITH (FORCE)")


@pytest.fixture
def database_url(new_database: Callable[[], str], postgres_url: str) -> Iterator[str]:
    """A migrated database of the test's own; what is still connected at the end is cut off."""
    url = new_database()
    yield url
    name = url.split("?", 1)[0].rsplit("/", 1)[1]
    _execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def redis_url(valkey: EmbeddedValkey) -> str:
    """The session's Valkey, emptied."""
    with Redis.from_url(valkey.url()) as client:
        client.flushall()
    return valkey.url()


def _execute(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
