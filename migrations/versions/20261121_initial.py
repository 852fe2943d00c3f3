"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.store.tables import EVENTS_VIEW

revision = "a2935d7e55ce"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chaingraph_beat",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_chaingraph_beat_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chaingraph_beat")),
    )
    op.create_table(
        "chaingraph_checkpoints",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("execution_time_ms", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("outputs", sa.JSON(), nullable=True),
        sa.Column("chosen", sa.JSON(), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('completed', 'error', 'waiting')",
            name=op.f("ck_chaingraph_checkpoints_status"),
        ),
        sa.PrimaryKeyConstraint("execution_id", "node_id", name=op.f("pk_chaingraph_checkpoints")),
    )
    op.create_table(
        "chaingraph_resolutions",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("outputs", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "seq", name=op.f("pk_chaingraph_resolutions")),
    )
    op.create_table(
        "chaingraph_execution_claims",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Text(), server_default="", nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("queue", sa.Text(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.CheckConstraint(
            "(node_id = '') = (queue IS NULL)",
            name=op.f("ck_chaingraph_execution_claims_queue"),
        ),
        sa.CheckConstraint(
            "(status = 'released') = (expires_at IS NULL)",
            name=op.f("ck_chaingraph_execution_claims_expires_at"),
        ),
        sa.CheckConstraint(
            "status IN ('active', 'released', 'expired')",
            name=op.f("ck_chaingraph_execution_claims_status"),
        ),
        sa.PrimaryKeyConstraint(
            "execution_id", "node_id", name=op.f("pk_chaingraph_execution_claims")
        ),
        postgresql_with={"fillfactor": 60, "autovacuum_vacuum_scale_factor": 0.02},
    )
    op.create_index(
        "ix_chaingraph_execution_claims_active",
        "chaingraph_execution_claims",
        ["worker_id"],
        unique=False,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "ix_chaingraph_execution_claims_steps",
        "chaingraph_execution_claims",
        ["queue", "claimed_at"],
        unique=False,
        postgresql_where=sa.text("node_id != ''"),
    )
    op.create_table(
        "chaingraph_event_batches",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("first_index", sa.Integer(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("types", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "cardinality(types) >= 1", name=op.f("ck_chaingraph_event_batches_types")
        ),
        sa.PrimaryKeyConstraint(
            "execution_id", "first_index", name=op.f("pk_chaingraph_event_batches")
        ),
    )
    op.execute(EVENTS_VIEW)
    op.create_table(
        "chaingraph_execution_recovery",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column(
            "recovered_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("recovered_by_worker", sa.Text(), nullable=False),
        sa.Column("recovery_reason", sa.Text(), nullable=False),
        sa.Column("previous_status", sa.Text(), nullable=False),
        sa.Column("previous_worker_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "recovery_reason IN ('worker_died', 'expired_claim', 'no_claim', 'requested')",
            name=op.f("ck_chaingraph_execution_recovery_recovery_reason"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chaingraph_execution_recovery")),
    )
    op.create_index(
        "ix_chaingraph_execution_recovery_execution",
        "chaingraph_execution_recovery",
        ["execution_id", "id"],
        unique=False,
    )
    op.create_table(
        "chaingraph_executions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("flow_id", sa.Text(), nullable=False),
        sa.Column("flow_version", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("root_execution_id", sa.Text(), nullable=False),
        sa.Column("parent_execution_id", sa.Text(), nullable=True),
        sa.Column("execution_depth", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("parent_node_id", sa.Text(), nullable=True),
        sa.Column("child_ordinal", sa.Integer(), nullable=True),
        sa.Column("forked_from", sa.Text(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=True),
        sa.Column("integration", sa.JSON(), nullable=True),
        sa.Column("external_events", sa.JSON(), nullable=True),
        sa.Column("status", sa.Text(), server_default="created", nullable=False),
        sa.Column("start_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_left_ms", sa.BigInteger(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_node_id", sa.Text(), nullable=True),
        sa.Column("failure_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_failure_reason", sa.Text(), nullable=True),
        sa.Column("last_failure_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested", sa.Text(), nullable=True),
        sa.Column("requested_seq", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("requested_reason", sa.Text(), nullable=True),
        sa.Column("breakpoints_hit", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("child_state", sa.Text(), nullable=True),
        sa.Column("children", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("waiting", sa.JSON(), nullable=True),
        sa.Column("runnable_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "queued_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("processing_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("processing_worker_id", sa.Text(), nullable=True),
        sa.Column("claim_token", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("crashes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("wake", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("nodes_total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("writes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_event_index", sa.Integer(), server_default=sa.text("-1"), nullable=False),
        sa.Column("nodes_completed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("nodes_failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("nodes_skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("watched", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("grants", sa.JSON(), nullable=True),
        sa.CheckConstraint(
            "(status IN ('completed', 'failed', 'stopped')) = (completed_at IS NOT NULL)",
            name=op.f("ck_chaingraph_executions_completed_at"),
        ),
        sa.CheckConstraint(
            "CASE WHEN parent_execution_id IS NULL THEN child_state IS NULL"
            " WHEN completed_at IS NULL THEN coalesce(child_state, '') = 'open'"
            " ELSE coalesce(child_state, '') IN ('untold', 'told') END",
            name=op.f("ck_chaingraph_executions_child_state"),
        ),
        sa.CheckConstraint(
            "requested IS NULL OR requested IN ('pause', 'step', 'stop')",
            name=op.f("ck_chaingraph_executions_requested"),
        ),
        sa.CheckConstraint(
            "runnable_at IS NULL OR status IN ('created', 'running')",
            name=op.f("ck_chaingraph_executions_runnable"),
        ),
        sa.CheckConstraint(
            "status IN ('created', 'running', 'paused', 'completed', 'failed', 'stopped')",
            name=op.f("ck_chaingraph_executions_status"),
        ),
        sa.CheckConstraint(
            "priority BETWEEN 0 AND 9", name=op.f("ck_chaingraph_executions_priority")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chaingraph_executions")),
        postgresql_with={"fillfactor": 60, "autovacuum_vacuum_scale_factor": 0.02},
    )
    op.create_index(
        "ix_chaingraph_executions_children",
        "chaingraph_executions",
        ["parent_execution_id", "parent_node_id", "child_ordinal"],
        unique=True,
        postgresql_where=sa.text("parent_execution_id IS NOT NULL"),
    )
    op.create_index(
        "ix_chaingraph_executions_descendants",
        "chaingraph_executions",
        ["root_execution_id"],
        unique=False,
        postgresql_where=sa.text("parent_execution_id IS NOT NULL"),
    )
    op.create_index(
        "ix_chaingraph_executions_flow",
        "chaingraph_executions",
        ["flow_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_chaingraph_executions_listed",
        "chaingraph_executions",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_chaingraph_executions_open_children",
        "chaingraph_executions",
        ["parent_execution_id"],
        unique=False,
        postgresql_where=sa.text("child_state != 'told'"),
    )
    op.create_index(
        "ix_chaingraph_executions_runnable",
        "chaingraph_executions",
        [sa.literal_column("priority DESC"), "queued_at", "id"],
        unique=False,
        postgresql_where=sa.text("runnable_at IS NOT NULL"),
    )
    op.create_index(
        "ix_chaingraph_executions_timers",
        "chaingraph_executions",
        ["wake_at"],
        unique=False,
        postgresql_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_index(
        "ix_chaingraph_executions_untold_children",
        "chaingraph_executions",
        ["parent_execution_id"],
        unique=False,
        postgresql_where=sa.text("child_state = 'untold'"),
    )
    op.create_table(
        "chaingraph_flows",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("hidden_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("version >= 1", name=op.f("ck_chaingraph_flows_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chaingraph_flows")),
    )
    op.create_index(
        "ix_chaingraph_flows_listed",
        "chaingraph_flows",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "chaingraph_secrets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_type", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chaingraph_secrets")),
        sa.UniqueConstraint("owner_id", "name", name=op.f("uq_chaingraph_secrets_owner_id_name")),
    )
    op.create_index(
        "ix_chaingraph_secrets_listed",
        "chaingraph_secrets",
        ["owner_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "chaingraph_slots",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("id >= 1", name=op.f("ck_chaingraph_slots_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chaingraph_slots")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "chaingraph_workers",
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("parent_worker_id", sa.Text(), nullable=True),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("queues", sa.JSON(), nullable=False),
        sa.Column("status", sa.Text(), server_default="running", nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("lease_ms", sa.Integer(), nullable=False),
        sa.Column("lock_key", sa.BigInteger(), nullable=True),
        sa.Column("lock_server_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "last_heartbeat_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status IN ('running', 'draining')", name=op.f("ck_chaingraph_workers_status")
        ),
        sa.PrimaryKeyConstraint("worker_id", name=op.f("pk_chaingraph_workers")),
        postgresql_with={"fillfactor": 60},
    )
    op.create_table(
        "chaingraph_flow_versions",
        sa.Column("flow_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("flow_id", "version", name=op.f("pk_chaingraph_flow_versions")),
    )
    op.create_table(
        "chaingraph_deletions",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("has_descendants", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("execution_id", name=op.f("pk_chaingraph_deletions")),
    )
    op.create_index(
        "ix_chaingraph_deletions_age", "chaingraph_deletions", ["deleted_at"], unique=False
    )
    op.create_index(
        "ix_chaingraph_deletions_roots",
        "chaingraph_deletions",
        ["execution_id"],
        unique=False,
        postgresql_where=sa.text("has_descendants"),
    )
    op.create_table(
        "chaingraph_idempotency_keys",
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("created_ids", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "owner_id", "route", "key", name=op.f("pk_chaingraph_idempotency_keys")
        ),
    )
    op.create_index(
        "ix_chaingraph_idempotency_keys_age",
        "chaingraph_idempotency_keys",
        ["created_at"],
        unique=False,
    )
    op.create_table(
        "chaingraph_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('admin', 'user')", name=op.f("ck_chaingraph_tokens_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chaingraph_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_chaingraph_tokens_token_hash")),
    )
    op.create_index(
        "uq_chaingraph_tokens_name",
        "chaingraph_tokens",
        ["name"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "chaingraph_audit",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("token_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "subject_kind IN ('execution', 'flow', 'secret', 'token')",
            name=op.f("ck_chaingraph_audit_subject_kind"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chaingraph_audit")),
    )
    op.create_index(
        "ix_chaingraph_audit_subject", "chaingraph_audit", ["subject_id", "id"], unique=False
    )
    op.create_index(
        "uq_chaingraph_audit_source",
        "chaingraph_audit",
        ["source_id", "at"],
        unique=True,
        postgresql_where=sa.text("source_id IS NOT NULL"),
    )
    op.create_table(
        "chaingraph_signals",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("timed_out", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint(
            "(node_id IS NULL) = (taken_at IS NULL)", name=op.f("ck_chaingraph_signals_taken_at")
        ),
        sa.CheckConstraint(
            "timed_out = (payload IS NULL)", name=op.f("ck_chaingraph_signals_payload")
        ),
        sa.PrimaryKeyConstraint("execution_id", "id", name=op.f("pk_chaingraph_signals")),
    )
    op.create_index(
        "uq_chaingraph_signals_node",
        "chaingraph_signals",
        ["execution_id", "node_id"],
        unique=True,
        postgresql_where=sa.text("node_id IS NOT NULL"),
    )
    op.create_table(
        "chaingraph_bulk_commands",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "action IN ('start', 'pause', 'resume', 'stop')",
            name=op.f("ck_chaingraph_bulk_commands_action"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chaingraph_bulk_commands")),
    )
    op.create_index(
        "ix_chaingraph_bulk_commands_execution",
        "chaingraph_bulk_commands",
        ["execution_id", "id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(
        "uq_chaingraph_audit_source",
        table_name="chaingraph_audit",
        postgresql_where=sa.text("source_id IS NOT NULL"),
    )
    op.drop_index("ix_chaingraph_audit_subject", table_name="chaingraph_audit")
    op.drop_table("chaingraph_audit")
    op.drop_index(
        "uq_chaingraph_tokens_name",
        table_name="chaingraph_tokens",
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.drop_table("chaingraph_tokens")
    op.drop_index("ix_chaingraph_bulk_commands_execution", table_name="chaingraph_bulk_commands")
    op.drop_table("chaingraph_bulk_commands")
    op.drop_index(
        "uq_chaingraph_signals_node",
        table_name="chaingraph_signals",
        postgresql_where=sa.text("node_id IS NOT NULL"),
    )
    op.drop_table("chaingraph_signals")
    op.drop_index(
        "ix_chaingraph_deletions_roots",
        table_name="chaingraph_deletions",
        postgresql_where=sa.text("has_descendants"),
    )
    op.drop_index("ix_chaingraph_deletions_age", table_name="chaingraph_deletions")
    op.drop_table("chaingraph_deletions")
    op.drop_index("ix_chaingraph_idempotency_keys_age", table_name="chaingraph_idempotency_keys")
    op.drop_table("chaingraph_idempotency_keys")
    op.drop_table("chaingraph_flow_versions")
    op.drop_table("chaingraph_workers")
    op.drop_table("chaingraph_slots")
    op.drop_index("ix_chaingraph_secrets_listed", table_name="chaingraph_secrets")
    op.drop_table("chaingraph_secrets")
    op.drop_index("ix_chaingraph_flows_listed", table_name="chaingraph_flows")
    op.drop_table("chaingraph_flows")
    op.drop_index(
        "ix_chaingraph_executions_untold_children",
        table_name="chaingraph_executions",
        postgresql_where=sa.text("child_state = 'untold'"),
    )
    op.drop_index(
        "ix_chaingraph_executions_timers",
        table_name="chaingraph_executions",
        postgresql_where=sa.text("wake_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_chaingraph_executions_runnable",
        table_name="chaingraph_executions",
        postgresql_where=sa.text("runnable_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_chaingraph_executions_open_children",
        table_name="chaingraph_executions",
        postgresql_where=sa.text("child_state != 'told'"),
    )
    op.drop_index("ix_chaingraph_executions_listed", table_name="chaingraph_executions")
    op.drop_index("ix_chaingraph_executions_flow", table_name="chaingraph_executions")
    op.drop_index(
        "ix_chaingraph_executions_descendants",
        table_name="chaingraph_executions",
        postgresql_where=sa.text("parent_execution_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_chaingraph_executions_children",
        table_name="chaingraph_executions",
        postgresql_where=sa.text("parent_execution_id IS NOT NULL"),
    )
    op.drop_table("chaingraph_executions")
    op.drop_index(
        "ix_chaingraph_execution_recovery_execution", table_name="chaingraph_execution_recovery"
    )
    op.drop_table("chaingraph_execution_recovery")
    op.execute("DROP VIEW chaingraph_execution_events")
    op.drop_table("chaingraph_event_batches")
    op.drop_index(
        "ix_chaingraph_execution_claims_steps",
        table_name="chaingraph_execution_claims",
        postgresql_where=sa.text("node_id != ''"),
    )
    op.drop_index(
        "ix_chaingraph_execution_claims_active",
        table_name="chaingraph_execution_claims",
        postgresql_where=sa.text("status = 'active'"),
    )
    op.drop_table("chaingraph_execution_claims")
    op.drop_table("chaingraph_resolutions")
    op.drop_table("chaingraph_checkpoints")
    op.drop_table("chaingraph_beat")
