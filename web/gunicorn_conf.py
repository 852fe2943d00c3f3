"""How gunicorn serves the API: `gunicorn -c web/gunicorn_conf.py`."""

from __future__ import annotations

import resource
import signal
import sys
import threading
from types import FrameType
from typing import Any

from app.config import load_settings
from app.config.places import ours
from app.config.settings import bracketed
from app.errors import SettingsError
from app.logs import logging_config
from web.capacity import MAX_CONNECTIONS, MAX_FILES, THREADS

try:
    _settings = load_settings()
    logconfig_dict = dict(logging_config(_settings))
except SettingsError as error:
    sys.exit(str(error))

wsgi_app = ours("web:create_app()")
bind = f"{bracketed(_settings.host)}:{_settings.port}"

# One process: sockets of one execution share one reader, and threads are enough for requests
# that wait for PostgreSQL most of the time. To have more, start more on other ports.
workers = 1
worker_class = ours("web.patient_worker.PatientWorker")
threads = THREADS
worker_connections = MAX_CONNECTIONS
# Connections to PostgreSQL and Redis must not be shared across a fork.
preload_app = False

#: Seconds without a sign of life of the process, not of a request.
timeout = 30
#: Seconds that requests and sockets have to end once the process was told to.
graceful_timeout = 30
#: Seconds that an idle connection stays open for the client's next request.
keepalive = 15
#: Bytes of a request's first line. Ids of 255 characters and a cursor need more than usual.
limit_request_line = 8190

# Nobody administers this server by a socket in the file system.
control_socket_disable = True
loglevel = _settings.log_level
# A line for each request would be most of what is logged.
accesslog = "-" if _settings.log_level == "debug" else None


def on_starting(server: Any) -> None:
    """Make the place where processes count together.

    Refuse a second process in local mode: each would have executions of its own.
    """
    if _settings.execution_mode == "local" and server.cfg.workers > 1:
        sys.exit("EXECUTION_MODE=local is one process: leave --workers out")
    if _settings.enable_metrics:
        from app.metrics.scratch import Scratch, share

        share(Scratch())


def on_exit(_server: Any) -> None:
    """Remove that place."""
    if _settings.enable_metrics:
        from app.metrics.scratch import shared

        if (scratch := shared()) is not None:
            scratch.remove()


def nworkers_changed(server: Any, new: int, _old: int | None) -> None:
    """Keep it at one when a signal asks for more."""
    if _settings.execution_mode == "local" and new > 1:
        server.log.warning("EXECUTION_MODE=local is one process: no second one is started")
        server.num_workers = 1


def worker_exit(_server: Any, worker: Any) -> None:
    """End what runs beside the requests."""
    from web.composition import end

    # One that did not start has none.
    if (app := getattr(worker, "wsgi", None)) is not None:
        end(app)


def post_worker_init(worker: Any) -> None:
    """Open connections for the first requests; tell the sockets, too, when the process is to end:
    gunicorn doesn't know of them.
    """
    from web.composition import relay_of, warm_up

    # Beside the requests: a PostgreSQL that is away must not keep the process from starting.
    threading.Thread(target=warm_up, args=(worker.wsgi,), daemon=True).start()
    _allow_files()
    relay = relay_of(worker.wsgi)
    end = signal.getsignal(signal.SIGTERM)

    def drain_and_end(number: int, frame: FrameType | None) -> None:
        # In a thread: a signal may come while this one holds what draining needs.
        threading.Thread(target=relay.drain, daemon=True).start()
        if callable(end):
            end(number, frame)

    signal.signal(signal.SIGTERM, drain_and_end)


def _allow_files() -> None:
    """Have as many descriptors as there may be sockets, where the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
