"""DBOS beside us: installed by itself, on the same PostgreSQL server, in a database of its own.

It is set as its documentation recommends for throughput: a queue without a global limit, which
would serialize the dequeuing, a limit per process, a pool as large, and work enqueued in
transactions of many, which is its counterpart of our batch.
"""

from __future__ import annotations

import subprocess
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2

from benchmarks.metering import LOAD
from benchmarks.rounds import DONE_WITHIN_S, Incomplete, Round
from benchmarks.stack import ROOT, Stack, wait_until

DATABASE = "peer"
WORKERS = 2

#: Seconds: for a process that was told to end.
ENDS_WITHIN_S = 20.0
WARM_UP = 50

_HERE = Path(__file__).parent
_REQUIREMENTS = _HERE / "requirements-peers.txt"
_PROGRAM = _HERE / "peer_dbos.py"
_ENVIRONMENT = ROOT / ".bench-venv"

#: (since, ms): how many completed that were enqueued since, and when the last one did.
_DONE = """
    SELECT count(*), coalesce(max(completed_at), 0) FROM dbos.workflow_status
    WHERE name = 'w5' AND status = 'SUCCESS' AND created_at >= %s
"""


class PeerFailed(Exception):
    """The peer can't be run."""


@dataclass(frozen=True, slots=True)
class Peer:
    """DBOS with its workers running; `database` is the name of its database."""

    url: str
    database: str
    client: subprocess.Popen[str]
    workers: list[subprocess.Popen[str]]
    servers: list[psutil.Process]

    def run(self, count: int) -> Round:
        """One round: enqueue, wait, and time it by the database."""
        began = float(_ask(self.client, str(count)))
        return Round(count, self._wait(began, count) - began)

    def programs(self) -> list[psutil.Process]:
        """Its workers."""
        return [psutil.Process(worker.pid) for worker in self.workers]

    def kinds(self) -> dict[str, list[psutil.Process]]:
        """Its processes, and the server's."""
        listed = [each for server in self.servers for each in server.children(recursive=True)]
        return {
            LOAD: [psutil.Process(self.client.pid)],
            "workers": self.programs(),
            "postgres": [*self.servers, *listed],
        }

    def _wait(self, began: float, count: int) -> float:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        since_ms = int(began * 1000)
        ended_ms = 0

        def is_done() -> bool:
            nonlocal ended_ms
            with connection.cursor() as cursor:
                cursor.execute(_DONE, (since_ms,))
                done, ended_ms = cursor.fetchall()[0]
            if done > count:
                raise Incomplete(f"{done} of {count} completed")
            return bool(done == count)

        try:
            wait_until(is_done, "DBOS completed everything", DONE_WITHIN_S)
        finally:
            connection.close()
        return ended_ms / 1000


@contextmanager
def run_peer(stack: Stack) -> Iterator[Peer]:
    """Start DBOS's workers on the stack's server; end them."""
    python = _install()
    stack.database.run(f"CREATE DATABASE {DATABASE}")
    url = stack.database.url_of(DATABASE)
    started: list[subprocess.Popen[str]] = []
    try:
        # The workers first: they make the tables.
        for role, name in (
            *(("worker", f"peer{n}") for n in range(WORKERS)),
            ("enqueue", "client"),
        ):
            started.append(_start(python, role, url, name))
            _read_line(started[-1])
        *workers, client = started
        peer = Peer(url, DATABASE, client, workers, stack.kinds()["postgres"][:1])
        peer.run(WARM_UP)
        yield peer
    finally:
        for process in started:
            _end(process)


def _install() -> Path:
    """The interpreter of an environment with the peer; made at the first use."""
    python = _ENVIRONMENT / "bin" / "python"
    stamp = _ENVIRONMENT / ".installed"
    wanted = _REQUIREMENTS.read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("  installing DBOS into .bench-venv", flush=True)
        venv.create(_ENVIRONMENT, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", "-r", _REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    return python


def _start(python: Path, role: str, url: str, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, _PROGRAM, role, _for_sqlalchemy(url), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _ask(process: subprocess.Popen[str], line: str) -> str:
    """Say something to a process; give what it answers."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return _read_line(process)


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise PeerFailed("a process of DBOS ended; what it said is above")
    return line


def _end(process: subprocess.Popen[str]) -> None:
    """It ends when its input does."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _for_sqlalchemy(url: str) -> str:
    """The driver is psycopg 3."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
