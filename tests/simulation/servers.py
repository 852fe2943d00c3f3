"""A PostgreSQL for the command line; tests have theirs from tests/conftest.py."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT

from app.cli import schema
from app.embedded.postgres import prepare_postgres
from app.supervisor.guardian import Guardian
from tests.simulation.postgres import PostgresStore
from tests.waiting import wait_until


@contextmanager
def postgres_store() -> Iterator[PostgresStore]:
    """Start a PostgreSQL of one's own, migrate a database, and end all of it afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="chaingraph-simulation-"))
    directory.chmod(0o711)
    server = prepare_postgres(directory / "postgres", fsync="off", synchronous_commit="off")
    guardian = Guardian()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            server.command(),
            stdout=log,
            stderr=log,
            start_new_session=True,
            **server.popen_arguments(),
        )
    guardian.watch(process.pid, SIGINT, rank=0)
    wait_until(server.is_ready, "PostgreSQL is ready")
    server.ensure_database("simulated")
    schema.upgrade(server.url("simulated"))
    store = PostgresStore(server.url("simulated"))
    try:
        yield store
    finally:
        store.close()
        process.send_signal(SIGINT)
        process.wait(20)
        guardian.forget(process.pid)
        guardian.close()
        server.remove_sockets()
        shutil.rmtree(directory)
