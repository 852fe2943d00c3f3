"""The database's schema by way of Alembic: bring it up to date, compare it, write a migration."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import cast

import psycopg2.extensions
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg2 import errors
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.exc import OperationalError

from app.config.places import shipped
from app.config.urls import for_sqlalchemy
from app.errors import ChainGraphError, StoreUnavailable
from app.revisions import older_revisions

#: Says how a new migration is written; only a checkout has it.
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

#: Any number that no other lock of this database uses: "migrate", read as base 36.
MIGRATION_LOCK = 48_746_366_558

#: A migration waits so long for a table that is in use, then lets the others go on and tries
#: again: a queue behind an ALTER TABLE is an outage.
LOCK_TIMEOUT_MS = 3000
ATTEMPTS = 20
PAUSE_S = 1.0


class SchemaError(ChainGraphError):
    """The schema can't be brought up to date."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """Where a database is and where the code wants it; None is an empty database.

    `runs_older` are earlier revisions whose code runs on it, too.
    """

    present: str | None
    wanted: str | None
    runs_older: Sequence[str] = ()

    @property
    def is_current(self) -> bool:
        """Whether nothing is left to do."""
        return self.present == self.wanted

    @property
    def is_ahead(self) -> bool:
        """Whether it is beyond this code, which runs on it all the same."""
        return self.wanted in self.runs_older


def upgrade(database_url: str) -> Revisions:
    """Bring the database to the newest revision; return where it was and where it is.

    `database_url` is a libpq URI. Concurrent calls wait for one another. Raises SchemaError
    when a table stays locked, the database is newer than this code, or there is something to do
    and a pooler stands before the server.
    """
    with _connection(database_url) as connection:
        if _is_pooled(connection):
            return _nothing_to_do(connection)
        with _one_at_a_time(connection):
            return _brought_up_to_date(connection)


def _nothing_to_do(connection: Connection) -> Revisions:
    """Where the database is. Raises SchemaError where it lacks something: the lock would be taken
    in one session of the pooler and given back in another, and each later call wait for it.
    """
    found = _revisions(connection)
    if found.is_current or found.is_ahead:
        return found
    raise SchemaError(
        "a pooler stands before PostgreSQL: migrate with a DATABASE_URL of the server itself"
    )


def _brought_up_to_date(connection: Connection) -> Revisions:
    before = _revisions(connection)
    if not before.is_ahead:
        _upgrade_when_let(connection)
    return before


def _upgrade_when_let(connection: Connection) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _upgrade(connection)
        except OperationalError as error:
            connection.rollback()
            if not isinstance(error.orig, errors.LockNotAvailable):
                raise
            if attempt == ATTEMPTS:
                raise SchemaError("a table stays locked: end what holds it") from error
            time.sleep(PAUSE_S)
        else:
            return


def downgrade(database_url: str) -> None:
    """Take every migration back, down to an empty database: all that it holds is lost."""
    with _connection(database_url) as connection:
        command.downgrade(_config(connection), "base")
        connection.commit()


def revisions(database_url: str) -> Revisions:
    """Where the database is, and where this code wants it."""
    with _connection(database_url) as connection:
        return _revisions(connection)


def generate(database_url: str, name: str) -> Path:
    """Write a migration from the database, which must be current, to the tables in the code.

    Raises SchemaError where it isn't, and outside a checkout.
    """
    if not PYPROJECT.exists():
        raise SchemaError("a migration is written in a checkout of the project: this is none")
    with _connection(database_url) as connection:
        if not _revisions(connection).is_current:
            raise SchemaError("the database is not up to date: run `chaingraph migrate` first")
        script = command.revision(_config(connection), message=name, autogenerate=True)
    if script is None or isinstance(script, list):
        raise SchemaError(f"no migration was written for {name}")
    return Path(script.path)


def differences(database_url: str) -> str | None:
    """What a current database lacks of the tables in the code, in words; None if nothing."""
    with _connection(database_url) as connection:
        try:
            command.check(_config(connection))
        except CommandError as error:
            return str(error)
    return None


def _upgrade(connection: Connection) -> None:
    connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
    try:
        command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise SchemaError(
            f"the database was made by another version of this code ({error}):"
            " run that one, or use another database"
        ) from error
    connection.commit()


@contextmanager
def _connection(database_url: str) -> Iterator[Connection]:
    engine = create_engine(for_sqlalchemy(database_url), poolclass=pool.NullPool)
    try:
        connection = engine.connect()
    except OperationalError as error:
        reason = " ".join(str(error.orig).split())
        raise StoreUnavailable(f"PostgreSQL can't be reached: {reason}") from error
    with connection:
        yield connection


def _is_pooled(connection: Connection) -> bool:
    # A pooler tells of another process than the one that answers.
    answers = connection.scalar(text("SELECT pg_backend_pid()"))
    connection.commit()
    driver = cast("psycopg2.extensions.connection", connection.connection.driver_connection)
    return bool(answers != driver.info.backend_pid)


@contextmanager
def _one_at_a_time(connection: Connection) -> Iterator[None]:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()


def _revisions(connection: Connection) -> Revisions:
    present = MigrationContext.configure(connection).get_current_revision()
    wanted = ScriptDirectory.from_config(_config(connection)).get_current_head()
    older = older_revisions(connection, present)
    connection.commit()
    return Revisions(present, wanted, older)


def _config(connection: Connection) -> Config:
    quiet = Namespace(quiet=True)  # its progress would mix with the answer of --json
    toml = PYPROJECT if PYPROJECT.exists() else None
    config = Config(toml_file=toml, stdout=StringIO(), cmd_opts=quiet)
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
