"""Flows, and the versions of them that are or were run."""

from __future__ import annotations

from sqlalchemy import JSON, CheckConstraint, Column, Index, Integer, Table, Text

from app.store.tables.schema import AT, NOW, metadata

flows = Table(
    "chaingraph_flows",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", AT, nullable=False, server_default=NOW),
    Column("updated_at", AT, nullable=False, server_default=NOW),
    Column("hidden_at", AT),
    CheckConstraint("version >= 1", name="version"),
)
Index("ix_chaingraph_flows_listed", flows.c.created_at.desc(), flows.c.id.desc())

#: No foreign key to flows: where executions have a database of their own, that one holds copies of
#: the versions that were run, and no flows.
flow_versions = Table(
    "chaingraph_flow_versions",
    metadata,
    Column("flow_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", JSON, nullable=False),
    Column("created_at", AT, nullable=False, server_default=NOW),
)
