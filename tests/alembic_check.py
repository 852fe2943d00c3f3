"""Part of `make lint`: do the migrations, run on an empty database, give the tables in the code?

Upgrades a scratch PostgreSQL, compares, goes back down to nothing and up again.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT

from app.cli import schema
from app.embedded.postgres import EmbeddedPostgres, prepare_postgres
from app.supervisor.guardian import Guardian
from tests.waiting import wait_until


@contextmanager
def scratch_postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that lasts as long as the block."""
    with tempfile.TemporaryDirectory(prefix="chaingraph-check-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        server = prepare_postgres(directory / "postgres", fsync="off")
        guardian = Guardian()
        with (directory / "postgres.log").open("wb") as log:
            process = subprocess.Popen(
                server.command(),
                stdout=log,
                stderr=log,
                start_new_session=True,
                **server.popen_arguments(),
            )
        guardian.watch(process.pid, SIGINT, rank=0)
        try:
            wait_until(server.is_ready, "PostgreSQL is ready")
            yield server
        finally:
            process.send_signal(SIGINT)
            process.wait(timeout=20)
            guardian.forget(process.pid)
            guardian.close()
            server.remove_sockets()


def main() -> int:
    """Return 0 if migrations and tables agree."""
    with scratch_postgres() as server:
        server.ensure_database()
        schema.upgrade(server.url())
        fault = schema.differences(server.url())
        schema.downgrade(server.url())
        schema.upgrade(server.url())
    if fault is not None:
        print(f"the migrations don't give the tables of app/store/tables: {fault}")
        return 1
    print("the migrations give the tables of app/store/tables")
    return 0


if __name__ == "__main__":
    sys.exit(main())
