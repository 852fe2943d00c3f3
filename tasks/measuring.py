"""A worker's metrics: counted by each of its processes, served by the parent for all of them."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any
from urllib.parse import SplitResult, urlsplit

from app.config import Settings
from app.config.checks import is_loopback
from app.metrics.bearer import bears
from app.metrics.exposition import CONTENT_TYPE, Exposition, MemoryCollector
from app.metrics.groups import WorkerMetrics
from app.metrics.scratch import Scratch

PATH = "/metrics"
#: Whom it is served to without a token.
LOOPBACK = "127.0.0.1"
#: How long (s) a client may be silent.
SILENT_S = 5.0
#: How long (s) a connection may last, whatever its client says by then.
LASTS_S = 15.0
#: How many are served at once; each has a thread and a file descriptor.
MOST_AT_ONCE = 8
#: How long (s) between two tries to have the port: a worker that is being replaced still has it.
TRY_EVERY_S = 1.0
#: How often (s) the server looks whether it is to end.
LOOK_EVERY_S = 0.2
#: How long (s) the end of the worker waits for the server's.
ENDS_WITHIN_S = 2.0

_log = logging.getLogger(__name__)


class Measuring:
    """Made by a worker's parent before it forks."""

    def __init__(self, settings: Settings) -> None:
        self._scratch = Scratch()
        self._with_memory = settings.metrics_include_memory
        self._port = settings.worker_metrics_port
        self._token = settings.metrics_token
        self._server: MetricsServer | None = None

    def begin(self) -> WorkerMetrics:
        """What this process counts in: the parent, or a child after its fork."""
        with self._scratch.entered():
            return WorkerMetrics()

    def serve(self, metrics: WorkerMetrics) -> None:
        """Serve what all processes of the worker count. In the parent."""
        more = [MemoryCollector(os.getpid)] if self._with_memory else []
        exposition = Exposition(metrics.registry, self._scratch, more)
        self._server = MetricsServer(self._port, self._token, exposition.text)
        self._server.start()

    def fileno(self) -> int | None:
        """The listening socket's file descriptor: a forked child must close its copy."""
        return None if self._server is None else self._server.fileno()

    def end(self) -> None:
        """The worker ends."""
        if self._server is not None:
            self._server.stop()
        self._scratch.remove()


class MetricsServer:
    """Answers `GET /metrics` with what `text` gives.

    To this machine alone, unless there is a token, which others must bear. A port that is taken
    is waited for: metrics are no reason not to run.
    """

    def __init__(self, port: int, token: str | None, text: Callable[[], bytes]) -> None:
        self._address = "" if token else LOOPBACK, port
        self._handler = _handler(token, text)
        self._http: _Server | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)

    def start(self) -> None:
        """Serve from now on, or as soon as the port is free."""
        self._thread.start()

    def fileno(self) -> int | None:
        """The listening socket's file descriptor, if it has one."""
        return None if self._http is None else self._http.fileno()

    def stop(self) -> None:
        """Serve no more."""
        self._stop.set()
        self._thread.join(ENDS_WITHIN_S)

    def _serve(self) -> None:
        http = self._bound()
        if http is None:
            return
        with http:
            self._http, http.timeout = http, LOOK_EVERY_S
            while not self._stop.is_set():
                http.handle_request()
                http.end_overdue()

    def _bound(self) -> _Server | None:
        is_told = False
        while not self._stop.is_set():
            try:
                return _Server(self._address, self._handler)
            except OSError as error:
                if not is_told:
                    _log.warning("metrics are not served yet: port %d: %s", self._address[1], error)
                is_told = True
            self._stop.wait(TRY_EVERY_S)
        return None


class _Server(ThreadingHTTPServer):
    """Serves few at once, and none for long: who may ask is known only once it is served."""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._lock = threading.Lock()
        self._until: dict[Any, float] = {}

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Serve a connection, or close it where there are enough."""
        with self._lock:
            is_full = len(self._until) >= MOST_AT_ONCE
            if not is_full:
                self._until[request] = time.monotonic() + LASTS_S
        if is_full:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: socket | tuple[bytes, socket]) -> None:
        """Close a connection, which gives its place back."""
        # Under the lock until it is no more: its descriptor may then be another's.
        with self._lock:
            self._until.pop(request, None)
        super().shutdown_request(request)

    def end_overdue(self) -> None:
        """End the connections that have lasted too long: what reads or writes them fails."""
        now = time.monotonic()
        with self._lock:
            for request in [each for each, until in self._until.items() if until <= now]:
                with suppress(OSError):
                    request.shutdown(SHUT_RDWR)


def _handler(token: str | None, text: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SILENT_S

        def do_GET(self) -> None:
            """Give the metrics to who may have them."""
            if _split(self.path).path != PATH:
                self.send_error(404)
            elif not self._may_ask():
                self.send_error(401)
            else:
                self._give(text())

        def _may_ask(self) -> bool:
            if bears(self.headers["Authorization"], token):
                return True
            # A page elsewhere whose name was pointed here is not this machine.
            named = _split(f"//{self.headers['Host'] or LOOPBACK}").hostname or ""
            return is_loopback(self.client_address[0]) and is_loopback(named)

        def _give(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base's name
            """Say nothing: it is asked every few seconds."""

    return Handler


def _split(url: str) -> SplitResult:
    """The parts of a URL; of what is none, empty ones."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
