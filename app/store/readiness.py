"""Whether the database can be used: there, and with a schema that this code runs on."""

from __future__ import annotations

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.config.places import shipped
from app.revisions import older_revisions
from app.store.database import Database


def wanted_revision() -> str | None:
    """The revision of the schema that this code was written for."""
    return ScriptDirectory(str(shipped("migrations"))).get_current_head()


def present_revision(database: Database, wanted: str | None) -> str | None:
    """The revision that the database has, None without a schema; `wanted` if it runs that code.

    Raises StoreUnavailable.
    """
    with database.reading() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
        return wanted if wanted in older_revisions(connection, present) else present
