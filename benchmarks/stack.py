"""The project's own stack on scratch servers: `chaingraph dev`, as anybody would start it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.config import child_environ
from app.embedded.ports import free_port
from benchmarks.api import Api
from benchmarks.database import Database

ROOT = Path(__file__).parents[1]

#: Seconds: until everything runs, and until everything has ended.
READY_WITHIN_S = 120.0
ENDS_WITHIN_S = 60.0
POLL_S = 0.1

#: What a developer may have set has no say in a measurement.
UNSET = dict.fromkeys(
    (
        *("DATABASE_URL", "DATABASE_URL_EXECUTIONS", "REDIS_URL", "BROKER_URL"),
        *("LOG_FILE", "WORKER_ID", "AUTH_ENABLED", "HTTP_NODE_ALLOW"),
    ),
    "",
)

#: Which kind a program that `dev` runs is, by a word of its command line.
KINDS = {
    "postgres": "postgres",
    "valkey-server": "valkey",
    "gunicorn": "web",
    "celery": "workers",
}
#: `dev` itself and its small helpers.
SUPERVISOR = "supervisor"


class StackFailed(Exception):
    """The stack did not start."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How many workers, how many executions each runs at once, and in which kind of pool."""

    workers: int = 2
    children: int = 4
    pool: str = "prefork"


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    leader: psutil.Process
    shape: Shape
    api: Api
    database: Database
    directory: Path

    def kinds(self) -> dict[str, list[psutil.Process]]:
        """Its processes by kind, children and all."""
        found: dict[str, list[psutil.Process]] = {SUPERVISOR: [self.leader]}
        for process in self.leader.children():
            kind = kind_of(process.cmdline())
            found.setdefault(kind, []).extend([process, *process.children(recursive=True)])
        return found

    def programs(self) -> list[psutil.Process]:
        """The API's and the workers' processes."""
        kinds = self.kinds()
        return [*kinds.get("web", ()), *kinds.get("workers", ())]


@contextmanager
def frozen(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Stop processes for a while, as SIGSTOP does."""
    with ExitStack() as opened:
        for process in processes:
            process.suspend()
            opened.callback(process.resume)
        yield


def kind_of(command: list[str]) -> str:
    """Which kind a program is."""
    words = " ".join(command)
    return next((kind for mark, kind in KINDS.items() if mark in words), SUPERVISOR)


@contextmanager
def run_stack(shape: Shape, directory: Path, **environ: str) -> Iterator[Stack]:
    """Run a stack whose data lie in `directory`, which has to be empty; then end it."""
    port = free_port()
    given = {
        **UNSET,
        "WORKER_CONCURRENCY": str(shape.children),
        "WORKER_POOL": shape.pool,
        "DEV_ECHO_PORT": str(free_port()),
        "NODE_MODULES": "benchmarks.nodes",
        "PYTHONPATH": str(ROOT),
        **environ,
    }
    command = [
        *(sys.executable, "-m", "app", "dev", "--json", "--no-flower"),
        *(f"--workers={shape.workers}", f"--port={port}", f"--data-dir={directory}"),
    ]
    with _started(command, child_environ(**given), directory) as process:
        database = Database(_address(directory))
        api = Api(port)
        try:
            yield Stack(psutil.Process(process.pid), shape, api, database, directory)
        finally:
            api.close()
            database.close()


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that the account of the embedded PostgreSQL can enter; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="chaingraph-bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        yield directory


def wait_until(holds: Callable[[], object], what: str, within_s: float) -> None:
    """Look again and again; raises TimeoutError, saying `what`, when the time is up."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s:g} s: {what}")
        time.sleep(POLL_S)


@contextmanager
def _started(
    command: list[str], environ: Mapping[str, str], directory: Path
) -> Iterator[subprocess.Popen[bytes]]:
    told, log = directory / "told.json", directory / "dev.log"
    with told.open("wb") as out, log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environ), stdout=out, stderr=errors, start_new_session=True
        )
    try:
        wait_until(
            lambda: process.poll() is not None or told.stat().st_size,
            "everything runs",
            READY_WITHIN_S,
        )
        if process.poll() is not None:
            raise StackFailed(log.read_text()[-2000:])
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(ENDS_WITHIN_S)


def _address(directory: Path) -> str:
    url: str = json.loads((directory / "addresses.json").read_bytes())["DATABASE_URL"]
    return url
