"""One PostgreSQL over a directory: made once, run in the foreground, reached by a socket.

It listens on no port. Whoever may enter the socket's directory, which is closed to others, is
let in; so two projects on one machine never meet, and no password is kept anywhere.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from app.embedded.account import Account, account_for, reachable_directory, reachable_programs
from app.embedded.locate import EmbeddedServerError, postgres_major, postgres_programs

SUPERUSER = "chaingraph"
DATABASE = "chaingraph"

#: It names the socket and nothing else; given in the URL so that PGPORT has no say.
PORT = 5432

#: A socket's path has room for 107 characters, so its directory is short, whatever DATA_DIR is.
SOCKETS = Path("/tmp")  # noqa: S108 — made with mode 0700, owner checked

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "256MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # A statement whose client died is given up, and with it the locks it holds.
    "client_connection_check_interval": "1s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A data directory that is ready to be served."""

    programs: Path
    data: Path
    sockets: Path
    account: Account
    settings: dict[str, str]

    def command(self) -> list[str]:
        """The server in the foreground; end it with SIGINT (fast shutdown)."""
        given = {**self.settings, "unix_socket_directories": str(self.sockets), "port": str(PORT)}
        switches = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self.data), *switches]

    def popen_arguments(self) -> dict[str, Any]:
        """What `subprocess` needs besides the command: the account and a directory to be in."""
        return {"cwd": "/", **self.account.popen_arguments()}

    def url(self, database: str = DATABASE) -> str:
        """A libpq URI for a database of this server."""
        where = urlencode({"host": self.sockets, "port": PORT}, safe="/")
        return f"postgresql://{SUPERUSER}@/{database}?{where}"

    def is_ready(self) -> bool:
        """Whether a connection is taken and a query answered."""
        import psycopg2

        try:
            connection = psycopg2.connect(self.url("postgres"), connect_timeout=2)
        except psycopg2.OperationalError:
            return False
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                return True
        finally:
            connection.close()

    def ensure_database(self, database: str = DATABASE) -> None:
        """Create the database unless it is there. The server has to be ready."""
        import psycopg2
        from psycopg2 import sql

        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
                if cursor.fetchone() is None:
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        finally:
            connection.close()

    def remove_sockets(self) -> None:
        """Remove the socket's directory once the server has ended; the next start makes it."""
        with suppress(OSError):  # a server that still runs has its socket in there
            self.sockets.rmdir()


def prepare_postgres(
    directory: Path, programs: Path | None = None, **settings: str
) -> EmbeddedPostgres:
    """Find the programs, make the data directory if it isn't there, and the socket's.

    `directory` is where data goes, `programs` is PG_BIN, `settings` are laid over SETTINGS.
    Raises EmbeddedServerError when there is no server, or it can't use what is there.
    """
    found = postgres_programs(programs)
    account = account_for(directory)
    reachable = reachable_programs(account, found)
    data = reachable_directory(account, directory)
    if data.exists():
        _require_same_version(data, postgres_major(found))
    else:
        _initialise(reachable, data, account)
    return EmbeddedPostgres(
        programs=reachable,
        data=data,
        sockets=_closed_socket_directory(data, account),
        account=account,
        settings={**SETTINGS, **_statistics(reachable), **settings},
    )


def _initialise(programs: Path, data: Path, account: Account) -> None:
    # Beside, then renamed: an initdb that was cut off leaves nothing that looks whole.
    unfinished = data.with_name(f"{data.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700, parents=True)
    account.own(unfinished)
    answer = subprocess.run(
        [
            *(programs / "initdb", "-D", unfinished, "-U", SUPERUSER),
            *("--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        **account.popen_arguments(),
    )
    if answer.returncode != 0:
        raise EmbeddedServerError(f"initdb failed: {answer.stderr.strip()}")
    unfinished.rename(data)


def _require_same_version(data: Path, major: int) -> None:
    try:
        made_by = (data / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise EmbeddedServerError(
            f"{data} can't be read as a PostgreSQL data directory: {error.strerror}"
        ) from error
    if made_by != str(major):
        raise EmbeddedServerError(
            f"{data} was made by PostgreSQL {made_by}, and this is {major}:"
            " set PG_BIN to the former, or move the directory away"
        )


def socket_directory(data: Path) -> Path:
    """Where the socket of the server over `data` is: short, and the same each time."""
    mark = hashlib.sha256(str(data).encode()).hexdigest()[:12]
    return SOCKETS / f"chaingraph-{mark}"


def _closed_socket_directory(data: Path, account: Account) -> Path:
    directory = socket_directory(data)
    try:
        directory.mkdir(mode=0o700)
        account.own(directory)
    except FileExistsError:
        _require_closed(directory, account)
    return directory


def _require_closed(directory: Path, account: Account) -> None:
    """In a place where everybody may write, somebody else may have been there first."""
    status = directory.lstat()
    closed = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    if not closed or status.st_uid != account.uid:
        raise EmbeddedServerError(f"{directory} is not a closed directory of ours: remove it")


def _statistics(programs: Path) -> dict[str, str]:
    library = programs.parent.glob("lib/**/pg_stat_statements.so")
    return {"shared_preload_libraries": "pg_stat_statements"} if any(library) else {}
