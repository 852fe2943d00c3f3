"""Whose turn it is to sweep, and what retention has yet to delete."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, Index, SmallInteger, Table, Text, text

from app.store.tables.schema import AT, metadata

beat = Table(
    "chaingraph_beat",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("swept_at", AT, nullable=False),
    Column("worker_id", Text),
    CheckConstraint("id = 1", name="one_row"),
)

#: Executions whose rows retention has deleted, and what belonged to them not yet: their events,
#: and of a root its descendants.
deletions = Table(
    "chaingraph_deletions",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("deleted_at", AT, nullable=False),
    Column("has_descendants", Boolean, nullable=False, server_default=text("false")),
)
Index("ix_chaingraph_deletions_age", deletions.c.deleted_at)
Index(
    "ix_chaingraph_deletions_roots",
    deletions.c.execution_id,
    postgresql_where=deletions.c.has_descendants,
)
