"""`chaingraph dev` as a user runs it: one command, real processes, real ends."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from app.config import child_environ, load_settings
from app.embedded.ports import free_port
from app.embedded.postgres import socket_directory
from tests.waiting import wait_until

STARTS_WITHIN_S = 150
ENDS_WITHIN_S = 150

COMMAND = [sys.executable, "-m", "app", "dev", "--workers=1", "--json"]

#: What a developer may have set has no say in these tests.
UNSET = {"DATABASE_URL": "", "REDIS_URL": "", "BROKER_URL": ""}


class Home:
    """A data directory, the ports that belong to it, and what was started there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, self.echo_port, self.flower_port = free_port(), free_port(), free_port()
        self.environ = child_environ(
            **UNSET,
            PORT=str(self.port),
            DEV_ECHO_PORT=str(self.echo_port),
            FLOWER_PORT=str(self.flower_port),
            DATA_DIR=str(directory),
            WORKER_CONCURRENCY="2",
        )
        self.api = f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            capture_output=True,
            text=True,
            env=self.environ,
            timeout=STARTS_WITHIN_S,
            check=False,
        )


class Dev:
    """A running `chaingraph dev`."""

    def __init__(self, home: Home, *arguments: str) -> None:
        self.home = home
        self.errors = home.directory.with_suffix(".stderr")
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=home.environ,
                start_new_session=True,
            )

    def places(self) -> dict[str, str]:
        """What it says once everything runs."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.errors.read_text()
        places: dict[str, str] = json.loads(line)
        return places

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(ENDS_WITHIN_S)

    def clean_up(self) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        self.process.communicate()
        self.errors.unlink()


@contextmanager
def new_home() -> Iterator[Home]:
    root = Path(tempfile.mkdtemp(prefix="chaingraph-dev-"))
    root.chmod(0o711)
    yield Home(root / "data")
    shutil.rmtree(root)
    shutil.rmtree(socket_directory(root / "data" / "postgres"), ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as home:
        yield home


@pytest.fixture(scope="module")
def dev() -> Iterator[Dev]:
    """One for the module, at work; a test leaves it at work, whatever it lost."""
    with new_home() as home:
        dev = Dev(home, "--no-flower")
        dev.places()
        yield dev
        dev.clean_up()


def are_gone(processes: list[psutil.Process]) -> bool:
    return not [each for each in processes if is_running(each)]


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_everything_runs_from_an_empty_directory_and_ctrl_c_ends_it(home: Home) -> None:
    dev = Dev(home)
    try:
        places = dev.places()
        assert places["api"] == f"{home.api}/api/v1"
        ready = httpx.get(f"{home.api}/health/ready")
        assert ready.json() == {
            "status": "ok",
            "postgres": "up",
            "redis": "up",
            "schema": "current",
        }
        assert httpx.get(f"http://127.0.0.1:{home.flower_port}/healthcheck").is_success
        assert httpx.get(f"http://127.0.0.1:{home.echo_port}/echo").json()["method"] == "GET"
        wait_until(
            lambda: httpx.get(f"{home.api}/api/v1/workers").json()["items"], "a worker is alive"
        )
        doctor = home.run("doctor", "--json")
        assert doctor.returncode == 0, doctor.stdout
        processes = dev.descendants()
        assert len(processes) >= 6
        assert dev.end() == 0
        assert are_gone(processes)
        assert not (home.directory / "addresses.json").exists()
        for name in ("postgres", "web", "worker1", "flower"):
            assert (home.directory / "logs" / f"{name}.log").exists()
    finally:
        dev.clean_up()


def test_a_second_one_on_the_same_directory_is_told_of_the_first(dev: Dev) -> None:
    second = dev.home.run("dev", "--no-flower")
    assert second.returncode == 1
    assert f"process {dev.process.pid}" in second.stderr
    assert httpx.get(f"{dev.home.api}/health/ready").is_success


@pytest.mark.parametrize(
    ("port_of", "remedy"),
    [("port", "--port"), ("flower_port", "FLOWER_PORT"), ("echo_port", "DEV_ECHO_PORT")],
)
def test_a_port_in_use_is_named_with_what_to_do(home: Home, port_of: str, remedy: str) -> None:
    port = getattr(home, port_of)
    with socket.create_server(("127.0.0.1", port)):
        refused = home.run("dev")
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert f"port {port} is in use" in line
    assert remedy in line


def test_a_wrong_setting_is_one_line_and_status_2(home: Home) -> None:
    home.environ["WORKER_POOL"] = "gevent"
    refused = home.run("dev")
    assert refused.returncode == 2
    assert refused.stderr == "chaingraph: WORKER_POOL=gevent is not allowed: prefork or threads\n"


def test_when_it_is_killed_nothing_goes_on_and_the_next_start_finds_the_data(home: Home) -> None:
    dev = Dev(home, "--no-flower")
    try:
        dev.places()
        flow = {
            "metadata": {"name": "Kept"},
            "nodes": [{"id": "a", "type": "TextNode", "values": {"text": "kept"}}],
            "edges": [],
        }
        stored = httpx.post(f"{home.api}/api/v1/flows", json=flow)
        assert stored.status_code == 201, stored.text
        processes = dev.descendants()
        dev.process.kill()
        dev.process.wait()
    finally:
        dev.clean_up()
    again = Dev(home, "--no-flower")
    try:
        again.places()
        wait_until(lambda: are_gone(processes), "what it had started is gone")
        kept = httpx.get(f"{home.api}/api/v1/flows/{stored.json()['id']}")
        assert kept.json()["name"] == "Kept"
        assert again.end() == 0
    finally:
        again.clean_up()


def test_a_worker_that_dies_is_started_again(dev: Dev) -> None:
    workers = [each for each in dev.descendants() if "worker1@%h" in each.cmdline()]
    main = min(workers, key=lambda each: each.create_time())
    main.kill()
    log = dev.home.directory / "logs" / "worker1.log"
    wait_until(lambda: "starting again" in log.read_text(), "the supervisor noticed")
    wait_until(
        lambda: [
            each
            for each in psutil.Process(dev.process.pid).children()
            if is_running(each) and "worker1@%h" in each.cmdline()
        ],
        "a new worker runs",
    )


def test_a_postgres_that_dies_is_started_again_and_the_api_goes_on(dev: Dev) -> None:
    (postmaster,) = [
        each
        for each in psutil.Process(dev.process.pid).children()
        if Path(each.cmdline()[0]).name == "postgres"
    ]
    postmaster.kill()
    log = dev.home.directory / "logs" / "postgres.log"
    wait_until(lambda: "starting again" in log.read_text(), "the supervisor noticed")
    wait_until(
        lambda: httpx.get(f"{dev.home.api}/api/v1/flows", timeout=10).is_success,
        "the API answers again",
    )


def test_a_database_out_of_reach_is_one_line_and_status_3(home: Home) -> None:
    home.environ["DATABASE_URL"] = f"postgres://user:hunter2@127.0.0.1:{free_port()}/none"
    refused = home.run("migrate")
    assert refused.returncode == 3
    (line,) = refused.stderr.splitlines()
    assert line.startswith("chaingraph: PostgreSQL can't be reached: ")
    assert "hunter2" not in line


def test_settings_of_a_running_one_are_found_by_other_commands(dev: Dev) -> None:
    settings = load_settings(dev.home.environ)
    assert settings.embeds_postgres
    assert settings.database_url.startswith("postgresql://")
    check = dev.home.run("migrate", "--check", "--json")
    assert check.returncode == 0, check.stdout
    assert json.loads(check.stdout)["fault"] is None
    shown = dev.home.run("config").stdout
    assert "embedded (" in shown
    assert settings.redis_url not in shown
