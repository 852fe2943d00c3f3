"""A whole stack of real processes for a test: the API, workers, and Flower where it is wanted.

Each process leads a group of its own and is known by its pid. What a test does to one is said
in signals: `kill`, `freeze`, `thaw`, `terminate`. The servers beneath are the session's.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg2

from app.config import child_environ
from app.embedded.echo import PATH, EchoHandler, EchoServer
from app.embedded.ports import LOOPBACK, free_port
from app.supervisor.guardian import Guardian
from tests.waiting import wait_until

WEB, FLOWER, WORKER = "web", "flower", "worker"

#: Seconds that a process may take to be of use, and to end in good order.
READY_WITHIN_S = 150.0
ENDS_WITHIN_S = 90.0

#: A dead worker is noticed fast, by its lock. Its lease is long enough for a busy machine.
QUICK = {
    "WORKER_HEARTBEAT_INTERVAL_MS": "500",
    "WORKER_CLAIM_TIMEOUT_MS": "10000",
    "RECOVERY_SCAN_INTERVAL_MS": "200",
}

#: What a developer may have set has no say in a test.
UNSET = {"BROKER_URL": "", "DATABASE_URL_EXECUTIONS": "", "LOG_FILE": "", "NODE_MODULES": ""}

#: How many databases a stack has that isn't told: two with `make test-two`.
DATABASES = int(os.environ.get("CHAINGRAPH_TEST_DATABASES", "1"))


def beside(database_url: str) -> str:
    """Make another database on the same server, like this one, which nobody uses yet; its URL."""
    parts = urlsplit(database_url)
    name = parts.path.removeprefix("/")
    connection = psycopg2.connect(parts._replace(path="/postgres").geturl())
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}_flows TEMPLATE {name}")
    finally:
        connection.close()
    return parts._replace(path=f"/{name}_flows").geturl()


class Managed:
    """One process of a stack, the leader of a group; its output is in the file `log`."""

    def __init__(
        self, name: str, command: list[str], environ: Mapping[str, str], log: Path, guard: Guardian
    ) -> None:
        self.name = name
        self.log = log
        self._guard = guard
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command, stdout=output, stderr=output, env=dict(environ), start_new_session=True
            )
        guard.watch(self.pid, signal.SIGTERM, rank=1)

    @property
    def pid(self) -> int:
        """The process id of the leader: with prefork, the worker's parent."""
        return self.popen.pid

    @property
    def is_running(self) -> bool:
        """Whether the leader has not ended."""
        return self.popen.poll() is None

    def children(self) -> list[psutil.Process]:
        """Its children: with prefork, those that run executions."""
        return psutil.Process(self.pid).children(recursive=True)

    def kill(self) -> None:
        """Kill the leader with SIGKILL, alone, and see it dead."""
        self.popen.kill()
        self._see_end()

    def kill_all(self) -> None:
        """Kill the leader and its children at the same time, as a lost machine would."""
        processes = self.group()
        for process in processes:
            process.suspend()
        for process in processes:
            process.kill()
        self._see_end()

    def freeze(self) -> None:
        """Stop the leader and its children where they are, with SIGSTOP."""
        for process in self.group():
            process.suspend()

    def thaw(self) -> None:
        """Let everything that is frozen go on."""
        for process in self.group():
            process.resume()

    def signal(self, number: int) -> None:
        """Send the leader a signal."""
        self.popen.send_signal(number)

    def terminate(self, within_s: float = ENDS_WITHIN_S) -> int:
        """Ask it to end in good order, wait until it has, return its exit status."""
        if self.is_running:
            self.popen.terminate()
        return self._see_end(within_s)

    def see_end(self, within_s: float = ENDS_WITHIN_S) -> int:
        """Wait until it has ended, return its exit status."""
        return self._see_end(within_s)

    def end(self) -> None:
        """End it whatever state it is in: thawed, asked, then killed."""
        if not self.is_running:
            self._see_end()
            return
        self.thaw()
        try:
            self.terminate()
        except subprocess.TimeoutExpired:
            self.kill_all()

    def group(self) -> list[psutil.Process]:
        """The leader and its children."""
        leader = psutil.Process(self.pid)
        return [leader, *leader.children(recursive=True)]

    def _see_end(self, within_s: float = ENDS_WITHIN_S) -> int:
        status = self.popen.wait(within_s)
        self._guard.forget(self.pid)
        return status


class Stack:
    """The processes on one database and one Redis; `environ` is laid over that of each.

    With two `databases` flows have one of their own beside that.
    """

    def __init__(
        self,
        database_url: str,
        redis_url: str,
        directory: Path,
        guard: Guardian,
        environ: Mapping[str, str] | None = None,
        databases: int = DATABASES,
    ) -> None:
        self.port, self.flower_port = free_port(), free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.flower_url = f"http://{LOOPBACK}:{self.flower_port}"
        #: Where executions are, and where flows are.
        self.database_url = database_url
        self.flows_url = beside(database_url) if databases == 2 else database_url
        self.redis_url = redis_url
        self.directory = directory
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.processes: list[Managed] = []
        self._guard = guard
        self._numbers = itertools.count(1)
        given = {
            **UNSET,
            **QUICK,
            "DATABASE_URL": self.flows_url,
            "DATABASE_URL_EXECUTIONS": database_url,
            "REDIS_URL": redis_url,
            "HOST": LOOPBACK,
            "PORT": str(self.port),
            "FLOWER_PORT": str(self.flower_port),
            "DATA_DIR": str(directory),
            "PYTHONUNBUFFERED": "1",
            **(environ or {}),
        }
        self._environ = child_environ(**given)

    def start_web(self, env: Mapping[str, str] | None = None) -> Managed:
        """Start the API, and wait until it is ready."""
        command = _python("gunicorn", "-c", "python:web.gunicorn_conf", "web:create_app()")
        web = self._start(WEB, command, env)
        self._await(web, lambda: _answers(f"{self.url}/health/ready"))
        return web

    def start_worker(
        self,
        *,
        pool: str = "prefork",
        concurrency: int = 2,
        queues: str | None = None,
        env: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> Managed:
        """Start a worker; it is named `worker1`, `worker2`, …, and so in WORKER_ID.

        `queues` is its `-Q`. Waits until the API lists it as alive, unless told not to.
        """
        name = f"{WORKER}{next(self._numbers)}"
        command = _python("celery", "-A", "tasks", "worker", "-n", f"{name}@%h")
        command += ["-Q", queues] if queues else []
        given = {
            "WORKER_ID": name,
            "WORKER_POOL": pool,
            "WORKER_CONCURRENCY": str(concurrency),
            **(env or {}),
        }
        worker = self._start(name, command, given)
        if wait:
            self.await_worker(worker)
        return worker

    def start_flower(self, env: Mapping[str, str] | None = None) -> Managed:
        """Start Flower, and wait until it answers. Its API answers without a login."""
        where = (f"--address={LOOPBACK}", f"--port={self.flower_port}")
        command = _python("celery", "-A", "tasks", "flower", *where)
        given = {"FLOWER_UNAUTHENTICATED_API": "true", **(env or {})}
        flower = self._start(FLOWER, command, given)
        self._await(flower, lambda: _answers(f"{self.flower_url}/healthcheck"))
        return flower

    def await_worker(self, worker: Managed) -> None:
        """Wait until a worker is listed as alive."""
        self._await(worker, lambda: worker.name in {each["workerId"] for each in self.workers()})

    def workers(self) -> list[dict[str, Any]]:
        """The workers alive, as the API lists them."""
        answer = self.http.get("/api/v1/workers")
        answer.raise_for_status()
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def store(self, document: Mapping[str, Any]) -> str:
        """Store a flow; return its id."""
        return str(self._post("/api/v1/flows", document)["id"])

    def run(self, flow_id: str, **options: Any) -> str:
        """Create an execution and start it; return its id. `options` are members of the body."""
        body = {"flowId": flow_id, "autostart": True, **options}
        return str(self._post("/api/v1/executions", body)["id"])

    def execution(self, execution_id: str) -> dict[str, Any]:
        """The execution as the API shows it."""
        answer = self.http.get(f"/api/v1/executions/{execution_id}")
        answer.raise_for_status()
        shown: dict[str, Any] = answer.json()
        return shown

    def await_status(
        self, execution_id: str, *statuses: str, within_s: float = 90
    ) -> dict[str, Any]:
        """Wait until an execution has one of these statuses; without any, a final one."""
        wanted = statuses or ("completed", "failed", "stopped")
        wait_until(
            lambda: self.execution(execution_id)["status"] in wanted,
            f"{execution_id} is {' or '.join(wanted)}",
            within_s,
        )
        return self.execution(execution_id)

    def close(self) -> None:
        """End every process. That a worker ends in good order is for the test to ask for."""
        self.http.close()
        for process in self.processes:
            if process.is_running and process.name.startswith(WORKER):
                process.kill_all()
        for process in self.processes:
            process.end()

    def _start(
        self, name: str, command: list[str], env: Mapping[str, str] | None = None
    ) -> Managed:
        environ = {**self._environ, **(env or {})}
        log = self.directory / f"{name}.log"
        process = Managed(name, command, environ, log, self._guard)
        self.processes.append(process)
        return process

    def _await(self, process: Managed, is_ready: Callable[[], bool]) -> None:
        wait_until(
            lambda: not process.is_running or is_ready(),
            f"{process.name} is ready; see {process.log}",
            READY_WITHIN_S,
        )
        assert process.is_running, process.log.read_text()[-4000:]

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.http.post(path, json=dict(body))
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created


@contextmanager
def run_stack(
    database_url: str,
    redis_url: str,
    directory: Path,
    guard: Guardian,
    *,
    workers: int = 1,
    environ: Mapping[str, str] | None = None,
    databases: int = DATABASES,
) -> Iterator[Stack]:
    """Run the API and so many workers, and end them."""
    stack = Stack(database_url, redis_url, directory, guard, environ, databases)
    try:
        stack.start_web()
        started = [stack.start_worker(wait=False) for _ in range(workers)]
        for worker in started:
            stack.await_worker(worker)
        yield stack
    finally:
        stack.close()


@contextmanager
def run_echo() -> Iterator[str]:
    """Serve the echo address in this process; gives its URL. HTTP_NODE_ALLOW must name it."""
    with EchoServer((LOOPBACK, 0), _QuietEcho) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}{PATH}"
        finally:
            server.shutdown()
            thread.join()


class _QuietEcho(EchoHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — the base names it
        """Say nothing: the test says what was wrong."""


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False
