"""Who runs what: workers, claims, slots, and executions that were taken from the lost."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Index, Integer, Table, Text

from app.store.tables.schema import AT, NOW, ZERO, metadata

workers = Table(
    "chaingraph_workers",
    metadata,
    Column("worker_id", Text, primary_key=True),
    Column("parent_worker_id", Text),
    Column("hostname", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pool", Text, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("queues", JSON, nullable=False),
    Column("status", Text, nullable=False, server_default="running"),
    Column("started_at", AT, nullable=False, server_default=NOW),
    Column("lease_ms", Integer, nullable=False),
    Column("lock_key", BigInteger),
    Column("lock_server_started_at", AT),
    Column("last_heartbeat_at", AT, nullable=False, server_default=NOW),
    CheckConstraint("status IN ('running', 'draining')", name="status"),
    postgresql_with={"fillfactor": 60},
)

claims = Table(
    "chaingraph_execution_claims",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("node_id", Text, primary_key=True, server_default=""),
    Column("worker_id", Text, nullable=False),
    Column("claimed_at", AT, nullable=False),
    Column("status", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("expires_at", AT),
    Column("heartbeat_at", AT, nullable=False),
    #: Of a node's step: which attempt it is, who may take it, what came of it.
    Column("attempt", Integer),
    Column("queue", Text),
    Column("result", JSON),
    CheckConstraint("status IN ('active', 'released', 'expired')", name="status"),
    CheckConstraint("(node_id = '') = (queue IS NULL)", name="queue"),
    CheckConstraint("(status = 'released') = (expires_at IS NULL)", name="expires_at"),
    postgresql_with={"fillfactor": 60, "autovacuum_vacuum_scale_factor": 0.02},
)
#: Node steps that were sent: there while the step is under way, gone with its checkpoint.
Index(
    "ix_chaingraph_execution_claims_steps",
    claims.c.queue,
    claims.c.claimed_at,
    postgresql_where=claims.c.node_id != "",
)
Index(
    "ix_chaingraph_execution_claims_active",
    claims.c.worker_id,
    postgresql_where=claims.c.status == "active",
)

#: A slot is taken while the claim that it names is active under that epoch, and free again with
#: the claim's end, whatever ended it: nothing is counted, nothing has to be given back.
slots = Table(
    "chaingraph_slots",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("execution_id", Text),
    Column("epoch", Integer, nullable=False, server_default=ZERO),
    CheckConstraint("id >= 1", name="id"),
    postgresql_with={"fillfactor": 50},
)

recoveries = Table(
    "chaingraph_execution_recovery",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("execution_id", Text, nullable=False),
    Column("recovered_at", AT, nullable=False, server_default=NOW),
    Column("recovered_by_worker", Text, nullable=False),
    Column("recovery_reason", Text, nullable=False),
    Column("previous_status", Text, nullable=False),
    Column("previous_worker_id", Text),
    CheckConstraint(
        "recovery_reason IN ('worker_died', 'expired_claim', 'no_claim', 'requested')",
        name="recovery_reason",
    ),
)
Index("ix_chaingraph_execution_recovery_execution", recoveries.c.execution_id, recoveries.c.id)
