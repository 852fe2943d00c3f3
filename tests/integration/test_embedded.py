"""The embedded servers: made from nothing, kept over restarts, closed to others."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg2
import pytest
from kombu import Connection
from redis import Redis
from redis.exceptions import AuthenticationError
from sqlalchemy import create_engine, text

from app.config import load_settings
from app.config.urls import for_sqlalchemy
from app.embedded.leftovers import end_left_postgres, end_left_valkey
from app.embedded.locate import EmbeddedServerError
from app.embedded.ports import free_port, is_free
from app.embedded.postgres import EmbeddedPostgres, prepare_postgres, socket_directory
from app.embedded.valkey import EmbeddedValkey, prepare_valkey
from app.supervisor.guardian import Guardian
from tests.waiting import wait_until

Server = EmbeddedPostgres | EmbeddedValkey


@pytest.fixture
def directory() -> Iterator[Path]:
    """A data directory with a path far too long for a socket."""
    root = Path(tempfile.mkdtemp(prefix="chaingraph-embedded-"))
    root.chmod(0o711)
    deep = root / ("d" * 60) / ("e" * 60)
    deep.mkdir(mode=0o711, parents=True)
    yield deep
    shutil.rmtree(root)
    shutil.rmtree(socket_directory(deep / "postgres"), ignore_errors=True)


class Runs:
    """Starts servers, and ends by their ids those that a test leaves."""

    def __init__(self, guardian: Guardian) -> None:
        self._guardian = guardian
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, server: Server) -> subprocess.Popen[bytes]:
        more = server.popen_arguments() if isinstance(server, EmbeddedPostgres) else {}
        process = subprocess.Popen(
            server.command(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **more,
        )
        self._guardian.watch(process.pid, signal.SIGTERM, 0)
        self._processes.append(process)
        wait_until(server.is_ready, "the server is ready")
        return process

    def end_all(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            self._guardian.forget(process.pid)


@pytest.fixture
def runs(guardian: Guardian) -> Iterator[Runs]:
    runs = Runs(guardian)
    yield runs
    runs.end_all()


def query(url: str, statement: str) -> object:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None
    finally:
        connection.close()


def test_postgres_keeps_its_data_over_a_sudden_death(directory: Path, runs: Runs) -> None:
    server = prepare_postgres(directory / "postgres")
    process = runs.start(server)
    server.ensure_database()
    server.ensure_database()
    query(server.url(), "CREATE TABLE kept AS SELECT 42 AS answer")
    process.kill()
    process.wait()
    again = prepare_postgres(directory / "postgres")
    assert again.sockets == server.sockets
    runs.start(again)
    assert query(again.url(), "SELECT answer FROM kept") == 42


def test_postgres_is_as_durable_as_it_must_be(directory: Path, runs: Runs) -> None:
    server = prepare_postgres(directory / "postgres")
    runs.start(server)
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "max_connections": "300",
        "shared_buffers": "256MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "client_connection_check_interval": "1s",
        "listen_addresses": "",
        "TimeZone": "UTC",
    }
    for name, value in wanted.items():
        assert query(server.url("postgres"), f"SHOW {name}") == value, name


def test_postgres_is_reached_by_socket_alone_and_by_its_owner_alone(
    directory: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "localhost")
    server = prepare_postgres(directory / "postgres")
    runs.start(server)
    server.ensure_database()
    assert stat.S_IMODE(server.sockets.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    assert query(server.url(), "SELECT inet_server_addr()") is None
    engine = create_engine(for_sqlalchemy(server.url()))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT current_user")) == "chaingraph"
    engine.dispose()


def test_a_postmaster_that_was_left_behind_is_ended(directory: Path, runs: Runs) -> None:
    server = prepare_postgres(directory / "postgres")
    assert not end_left_postgres(server.data)
    process = runs.start(server)
    assert end_left_postgres(server.data)
    assert process.wait(60) == 0
    runs.start(prepare_postgres(directory / "postgres"))


def test_a_pid_file_that_names_another_process_does_not_hinder(directory: Path, runs: Runs) -> None:
    server = prepare_postgres(directory / "postgres")
    process = runs.start(server)
    process.kill()
    process.wait()
    pid_file = server.data / "postmaster.pid"
    with subprocess.Popen(["sleep", "600"]) as other:
        _, rest = pid_file.read_text().split("\n", 1)
        pid_file.write_text(f"{other.pid}\n{rest}")
        assert not end_left_postgres(server.data)
        assert other.poll() is None
        runs.start(server)
        other.kill()


def test_data_of_another_version_is_refused(directory: Path) -> None:
    server = prepare_postgres(directory / "postgres")
    (server.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedServerError, match="made by PostgreSQL 12"):
        prepare_postgres(directory / "postgres")


def test_an_initdb_that_was_cut_off_is_done_again(directory: Path) -> None:
    (directory / "postgres.new").mkdir()
    (directory / "postgres.new" / "half").touch()
    server = prepare_postgres(directory / "postgres")
    assert (server.data / "PG_VERSION").is_file()
    assert not (directory / "postgres.new").exists()


def test_a_socket_directory_that_others_may_enter_is_refused(directory: Path) -> None:
    server = prepare_postgres(directory / "postgres")
    server.sockets.chmod(0o755)
    with pytest.raises(EmbeddedServerError, match="not a closed directory"):
        prepare_postgres(directory / "postgres")
    server.sockets.rmdir()


def test_valkey_keeps_port_password_and_data(directory: Path, runs: Runs) -> None:
    server = prepare_valkey(directory / "valkey")
    process = runs.start(server)
    with Redis.from_url(server.url()) as client:
        client.set("kept", "42")
    process.terminate()
    process.wait()
    again = prepare_valkey(directory / "valkey")
    assert again.url() == server.url()
    runs.start(again)
    with Redis.from_url(again.url(), decode_responses=True) as client:
        assert client.get("kept") == "42"
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_valkey_moves_when_its_port_is_taken(directory: Path) -> None:
    server = prepare_valkey(directory / "valkey")
    with socket.create_server(("127.0.0.1", server.identity["port"])):
        moved = prepare_valkey(directory / "valkey")
    assert moved.identity["port"] != server.identity["port"]
    assert moved.identity["password"] == server.identity["password"]


def test_valkey_lets_in_nobody_without_the_password(directory: Path, runs: Runs) -> None:
    server = prepare_valkey(directory / "valkey")
    runs.start(server)
    port = server.identity["port"]
    with Redis(port=port) as client, pytest.raises(AuthenticationError):
        client.ping()
    for name in ("valkey.conf", "identity.json"):
        assert stat.S_IMODE((directory / "valkey" / name).stat().st_mode) == 0o600


def test_valkey_hangs_up_on_a_web_page(directory: Path, runs: Runs) -> None:
    server = prepare_valkey(directory / "valkey")
    runs.start(server)
    with socket.create_connection(("127.0.0.1", server.identity["port"]), timeout=5) as browser:
        browser.sendall(b"POST / HTTP/1.1\r\nHost: evil\r\n\r\nFLUSHALL\r\n")
        assert browser.recv(100) == b""


def test_one_address_serves_redis_py_and_celery(directory: Path, runs: Runs) -> None:
    server = prepare_valkey(directory / "valkey")
    runs.start(server)
    environ = {"REDIS_URL": server.url(), "DATA_DIR": str(directory)}
    with Connection(load_settings(environ).broker_url) as broker:
        queue = broker.SimpleQueue("letters")
        queue.put("hint")
        assert queue.get(timeout=5).payload == "hint"
        queue.close()


def test_a_valkey_that_was_left_behind_is_ended(directory: Path, runs: Runs) -> None:
    server = prepare_valkey(directory / "valkey")
    assert not end_left_valkey(directory / "valkey", server.program)
    process = runs.start(server)
    assert end_left_valkey(directory / "valkey", server.program)
    assert process.wait(60) == 0


def test_ports_are_free_or_taken() -> None:
    port = free_port()
    assert is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)


@pytest.fixture
def echo(guardian: Guardian) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "app.embedded.echo", "--port=0"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    guardian.watch(process.pid, signal.SIGTERM, 0)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.communicate()
    guardian.forget(process.pid)


def test_the_echo_answers_with_what_it_was_asked(echo: str) -> None:
    request = Request(
        f"{echo}?delayMs=5&who=Ada",
        data=b'{"n": 1}',
        headers={"Idempotency-Key": "k", "Content-Type": "application/json", "Cookie": "c"},
    )
    with urlopen(request, timeout=5) as answer:
        assert json.load(answer) == {
            "method": "POST",
            "path": "/echo",
            "query": {"delayMs": "5", "who": "Ada"},
            "headers": {"idempotency-key": "k", "content-type": "application/json"},
            "body": {"n": 1},
        }


@pytest.mark.parametrize(
    ("path", "status"),
    [("?delayMs=10001", 422), ("?delayMs=-1", 422), ("?delayMs=x", 422), ("/more", 404)],
)
def test_the_echo_refuses_what_it_does_not_know(echo: str, path: str, status: int) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(echo + path, timeout=5)
    assert refused.value.code == status
    refused.value.close()
