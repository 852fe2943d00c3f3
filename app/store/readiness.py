"""Whether the database can be used: there, and with the schema that this code was written for."""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.store.database import Database

_MIGRATIONS = Path(__file__).parents[2] / "migrations"


def wanted_revision() -> str | None:
    """The revision of the schema that this code was written for."""
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head()


def present_revision(database: Database) -> str | None:
    """The revision that the database has; None if it has no schema.

    Raises StoreUnavailable.
    """
    with database.reading() as connection:
        return MigrationContext.configure(connection).get_current_revision()
