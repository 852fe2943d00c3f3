"""What is sent to executions and kept until it is carried out, or answered once more."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Table,
    Text,
    text,
)

from app.store.tables.schema import AT, NOW, metadata

#: What was sent to executions, in the order of `id`, and which node took it. A node stands here
#: once: a wait that its time ended is a row without a payload.
signals = Table(
    "chaingraph_signals",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("payload", JSON),
    Column("sent_at", AT, nullable=False),
    Column("node_id", Text),
    Column("taken_at", AT),
    Column("timed_out", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("timed_out = (payload IS NULL)", name="payload"),
    CheckConstraint("(node_id IS NULL) = (taken_at IS NULL)", name="taken_at"),
)
Index(
    "uq_chaingraph_signals_node",
    signals.c.execution_id,
    signals.c.node_id,
    unique=True,
    postgresql_where=signals.c.node_id.is_not(None),
)

#: Commands to many executions that are yet to be carried out.
bulk_commands = Table(
    "chaingraph_bulk_commands",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("execution_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("recorded_at", AT, nullable=False, server_default=NOW),
    CheckConstraint("action IN ('start', 'pause', 'resume', 'stop')", name="action"),
)
Index("ix_chaingraph_bulk_commands_execution", bulk_commands.c.execution_id, bulk_commands.c.id)

#: What was created under an Idempotency-Key: the hash of the body, and the ids.
idempotency_keys = Table(
    "chaingraph_idempotency_keys",
    metadata,
    Column("owner_id", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_hash", Text, nullable=False),
    Column("created_ids", ARRAY(Text), nullable=False),
    Column("created_at", AT, nullable=False),
)
Index("ix_chaingraph_idempotency_keys_age", idempotency_keys.c.created_at)
