"""A real PgBouncer, for tests that are told where there is one: PGBOUNCER_BIN.

`tests/pooler.py` is the worst of them (each transaction goes to another session) and needs none.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from app.embedded.account import account_for
from app.embedded.ports import LOOPBACK, free_port
from tests.waiting import wait_until

Mode = Literal["transaction", "session"]

ENDS_WITHIN_S = 10.0

#: As docs/operations.md has it, and what a test needs beside that.
CONFIGURATION = """\
[databases]
* = host={sockets} port={server_port} user={user}
[pgbouncer]
listen_addr = {address}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
ignore_startup_parameters = options
default_pool_size = {sessions}
max_client_conn = 1000
server_round_robin = 1
"""


class PgBouncer:
    """Listens on loopback, before the databases of one server that listens on a socket."""

    def __init__(
        self, program: Path, url: str, mode: Mode = "transaction", sessions: int = 3
    ) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        port = free_port()
        account = account_for(Path(query["host"][0]))
        self.url = f"postgresql://{parts.username}@{LOOPBACK}:{port}{parts.path}"
        self._directory = Path(tempfile.mkdtemp(prefix="chaingraph-pgbouncer-"))
        settings = self._directory / "pgbouncer.ini"
        settings.write_text(
            CONFIGURATION.format(
                sockets=query["host"][0],
                server_port=query["port"][0],
                user=parts.username,
                address=LOOPBACK,
                port=port,
                mode=mode,
                sessions=sessions,
            )
        )
        for each in (self._directory, settings):
            account.own(each)
        #: What it says.
        self.log = self._directory / "pgbouncer.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, settings], stdout=log, stderr=log, cwd="/", **account.popen_arguments()
            )
        wait_until(lambda: self._process.poll() is not None or _listens(port), "PgBouncer listens")
        assert self._process.poll() is None, self.log.read_text()

    def close(self) -> None:
        """End it, and leave nothing behind."""
        self._process.terminate()
        self._process.wait(ENDS_WITHIN_S)
        shutil.rmtree(self._directory)


def _listens(port: int) -> bool:
    with closing(socket.socket()) as line:
        return line.connect_ex((LOOPBACK, port)) == 0
