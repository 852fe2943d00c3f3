"""The programs that `chaingraph dev` runs: command lines, ranks, and how each says it is ready."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from app.cli.workers import count_live_workers
from app.config import Settings
from app.config.places import ours
from app.config.settings import bracketed
from app.embedded import EmbeddedPostgres, EmbeddedValkey
from app.supervisor import Program

#: Who ends before whom: the API takes no more, workers drain, then what they all stand on.
POSTGRES, VALKEY, HELPERS, WORKERS, WEB = range(5)

#: A crash of the machine leaves a pid file; a postmaster that was killed, a child or two.
POSTGRES_PATIENCE_S = 5.0
#: Longer than a worker may take to drain, and than gunicorn waits for its requests.
MARGIN_S = 5.0
#: The children of a worker are started one by one.
WORKERS_READY_WITHIN_S = 120.0
WEB_STOPS_WITHIN_S = 35.0

#: Workers tell one another nothing: they meet in PostgreSQL.
WORKER_OPTIONS = ("--without-gossip", "--without-mingle")
FLOWER_OPTIONS = ("--read_only", "--max_tasks=10000", "--purge_offline_workers=300")

#: A setting of the machine that matters to servers whose data is large: this one's is small,
#: and nothing lives in it alone.
VALKEY_EXPECTED_LINES = (b"WARNING Memory overcommit must be enabled",)

Environ = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Programs:
    """Makes the programs from the settings and the environment that each is to have."""

    settings: Settings
    environ: Environ

    def postgres(self, server: EmbeddedPostgres) -> Program:
        """The embedded PostgreSQL."""
        return Program(
            name="postgres",
            command=server.command(),
            environ=self.environ,
            rank=POSTGRES,
            is_ready=server.is_ready,
            patience_s=POSTGRES_PATIENCE_S,
            # Fast shutdown: it ends sessions and doesn't wait for them.
            stop_signal=signal.SIGINT,
            stop_within_s=30,
            popen_arguments=server.popen_arguments(),
        )

    def valkey(self, server: EmbeddedValkey) -> Program:
        """The embedded Valkey."""
        return Program(
            name="valkey",
            command=server.command(),
            environ=self.environ,
            rank=VALKEY,
            is_ready=server.is_ready,
            expected_lines=VALKEY_EXPECTED_LINES,
        )

    def echo(self) -> Program:
        """The address that sample flows call."""
        port = self.settings.dev_echo_port
        return Program(
            name="echo",
            command=_python(ours("app.embedded.echo"), f"--port={port}"),
            environ=self.environ,
            rank=HELPERS,
            is_ready=_answers(f"http://127.0.0.1:{port}/echo"),
        )

    def web(self) -> Program:
        """The API."""
        base = f"http://{bracketed(self.settings.host)}:{self.settings.port}"
        return Program(
            name="web",
            command=_python(
                "gunicorn", "-c", f"python:{ours('web.gunicorn_conf')}", ours("web:create_app()")
            ),
            environ=self.environ,
            rank=WEB,
            is_ready=_answers(f"{base}/health/ready"),
            stop_within_s=WEB_STOPS_WITHIN_S,
        )

    def worker(self, number: int) -> Program:
        """One worker; `%h` is the host's name, filled in by Celery."""
        name = f"worker{number}"
        return Program(
            name=name,
            command=_celery("worker", *WORKER_OPTIONS, "-n", f"{name}@%h"),
            environ={**self.environ, **self._metrics_port(number)},
            rank=WORKERS,
            is_ready=_alive(self.settings.database_url_executions, number),
            ready_within_s=WORKERS_READY_WITHIN_S,
            stop_within_s=self.settings.worker_drain_timeout_ms / 1000 + MARGIN_S,
        )

    def _metrics_port(self, number: int) -> Environ:
        """On one machine the n-th worker has the n-th port."""
        port = self.settings.worker_metrics_port
        return {"WORKER_METRICS_PORT": str(port + number - 1)} if port else {}

    def flower(self) -> Program:
        """The watcher of the workers."""
        address, port = self.settings.flower_address, self.settings.flower_port
        where = (f"--address={address}", f"--port={port}")
        return Program(
            name="flower",
            command=_celery("flower", *where, *FLOWER_OPTIONS),
            environ=self.environ,
            rank=HELPERS,
            is_ready=_answers(f"http://{bracketed(address)}:{port}/healthcheck"),
        )


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _celery(command: str, *options: str) -> list[str]:
    return _python("celery", "-A", ours("tasks"), command, *options)


def _alive(database_url: str, number: int) -> Callable[[], bool]:
    """The workers' rows don't carry their numbers, so the n-th waits until there are n."""

    def probe() -> bool:
        return count_live_workers(database_url) >= number

    return probe


def _answers(url: str) -> Callable[[], bool]:
    def probe() -> bool:
        try:
            return httpx.get(url, timeout=2).is_success
        except httpx.HTTPError:
            return False

    return probe
