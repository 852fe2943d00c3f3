"""Which code runs on which revision of the schema: on its own, and on later ones that say so.

So code and schema are replaced one after the other, and nothing stops.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

_RUNS = " runs the code of "

_COMMENT = text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')")


def older_revisions(connection: Connection, present: str | None) -> list[str]:
    """The revisions whose code runs on the schema of this later one, too."""
    comment: str | None = connection.execute(_COMMENT).scalar()
    revision, _, older = (comment or "").partition(_RUNS)
    # What an earlier migration said holds no more.
    return older.split(", ") if older and revision == present else []


def runs_code_of(revision: str, *older: str) -> str:
    """SQL for a migration to `revision` to say that the code of these older ones runs on.

    It may say so if all that it does is to add: tables, indexes, columns that may be NULL or
    have a default.
    """
    return f"COMMENT ON TABLE alembic_version IS '{revision}{_RUNS}{', '.join(older)}'"
