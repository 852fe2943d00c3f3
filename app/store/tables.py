"""The schema. Operators query these tables by hand, so names stay.

The life of an execution's row: inserted by create (`runnable_at` set if its start is already
requested), claimed by a worker process (`epoch` + 1, `runnable_at` cleared, a row in the
claims), written once per node boundary under that epoch (`writes`, `last_event_index`), and
either parked (`waiting` says for what, `wake_at` until when), paused (neither runnable nor with
a timer, until it is resumed) or finished. What is asked of its owner stands in `requested`. A
row is never claimed and runnable at once, and a final status never changes. A row
that nobody owns has in `wake_at` the first time at which something comes to it by itself; one
that is owned, none.

Columns that change with every node come last and stand in no index, so that those updates
are heap-only and their log records short.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_at = DateTime(timezone=True)
_now = text("clock_timestamp()")
_zero = text("0")

flows = Table(
    "chaingraph_flows",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", _at, nullable=False, server_default=_now),
    Column("updated_at", _at, nullable=False, server_default=_now),
    Column("hidden_at", _at),
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
    Column("created_at", _at, nullable=False, server_default=_now),
)

#: What owners keep for their nodes; `sealed` is encrypted under SECRET_KEY (app/vault.py).
secrets = Table(
    "chaingraph_secrets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_type", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("created_at", _at, nullable=False),
    Column("updated_at", _at, nullable=False),
    UniqueConstraint("owner_id", "name"),
)
Index(
    "ix_chaingraph_secrets_listed",
    secrets.c.owner_id,
    secrets.c.created_at.desc(),
    secrets.c.id.desc(),
)

executions = Table(
    "chaingraph_executions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("flow_id", Text, nullable=False),
    Column("flow_version", Integer, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("root_execution_id", Text, nullable=False),
    Column("parent_execution_id", Text),
    Column("execution_depth", Integer, nullable=False, server_default=_zero),
    #: Of a child: the node that made it ('' for an event that came with the start of its
    #: parent), and which of that node's it is, from 0.
    Column("parent_node_id", Text),
    Column("child_ordinal", Integer),
    Column("forked_from", Text),
    Column("priority", SmallInteger, nullable=False, server_default=_zero),
    Column("created_at", _at, nullable=False),
    Column("options", JSON, nullable=False),
    Column("inputs", JSON),
    Column("integration", JSON),
    Column("external_events", JSON),
    # -- what changes, rarely to often
    Column("status", Text, nullable=False, server_default="created"),
    Column("start_requested_at", _at),
    Column("started_at", _at),
    Column("completed_at", _at),
    #: When a run must be over: stored once an owner gives it up, and until then so long after
    #: its start as `flowTimeoutMs` says. While it is paused, how much of its time is left instead.
    Column("deadline_at", _at),
    Column("deadline_left_ms", BigInteger),
    Column("error_message", Text),
    Column("error_node_id", Text),
    Column("failure_count", Integer, nullable=False, server_default=_zero),
    Column("last_failure_reason", Text),
    Column("last_failure_at", _at),
    Column("requested", Text),
    Column("requested_seq", Integer, nullable=False, server_default=_zero),
    Column("requested_reason", Text),
    Column("breakpoints_hit", ARRAY(Text)),
    #: Of a child: open until it ends, untold until its parent has noted that, then told.
    Column("child_state", Text),
    #: How many children were made that count against MAX_CHILDREN_PER_PARENT, or came as events.
    Column("children", Integer, nullable=False, server_default=_zero),
    Column("waiting", JSON),
    Column("runnable_at", _at),
    #: Its place in the backlog: since when it waits its turn, which is since it was created, or
    #: since it last gave way to others.
    Column("queued_at", _at, nullable=False, server_default=_now),
    Column("wake_at", _at),
    Column("processing_started_at", _at),
    Column("processing_worker_id", Text),
    Column("claim_token", Text),
    Column("epoch", Integer, nullable=False, server_default=_zero),
    Column("crashes", Integer, nullable=False, server_default=_zero),
    Column("wake", Integer, nullable=False, server_default=_zero),
    Column("nodes_total", Integer, nullable=False, server_default=_zero),
    Column("updated_at", _at, nullable=False),
    Column("writes", Integer, nullable=False, server_default=_zero),
    Column("last_event_index", Integer, nullable=False, server_default=text("-1")),
    Column("nodes_completed", Integer, nullable=False, server_default=_zero),
    Column("nodes_failed", Integer, nullable=False, server_default=_zero),
    Column("nodes_skipped", Integer, nullable=False, server_default=_zero),
    #: Whether somebody has ever asked to be sent its events as they come.
    Column("watched", Boolean, nullable=False, server_default=text("false")),
    Column("grants", JSON),
    CheckConstraint(
        "status IN ('created', 'running', 'paused', 'completed', 'failed', 'stopped')",
        name="status",
    ),
    CheckConstraint("priority BETWEEN 0 AND 9", name="priority"),
    CheckConstraint(
        "requested IS NULL OR requested IN ('pause', 'step', 'stop')", name="requested"
    ),
    CheckConstraint(
        "(status IN ('completed', 'failed', 'stopped')) = (completed_at IS NOT NULL)",
        name="completed_at",
    ),
    CheckConstraint("runnable_at IS NULL OR status IN ('created', 'running')", name="runnable"),
    CheckConstraint(
        "CASE WHEN parent_execution_id IS NULL THEN child_state IS NULL"
        " WHEN completed_at IS NULL THEN coalesce(child_state, '') = 'open'"
        " ELSE coalesce(child_state, '') IN ('untold', 'told') END",
        name="child_state",
    ),
    postgresql_with={"fillfactor": 60, "autovacuum_vacuum_scale_factor": 0.02},
)
Index("ix_chaingraph_executions_listed", executions.c.created_at.desc(), executions.c.id.desc())
Index(
    "ix_chaingraph_executions_flow",
    executions.c.flow_id,
    executions.c.created_at.desc(),
    executions.c.id.desc(),
)
#: One child for each thing that asked for one, whatever crashes.
Index(
    "ix_chaingraph_executions_children",
    executions.c.parent_execution_id,
    executions.c.parent_node_id,
    executions.c.child_ordinal,
    unique=True,
    postgresql_where=executions.c.parent_execution_id.is_not(None),
)
#: The children that a parent waits for. What has no parent changes nothing in these two.
Index(
    "ix_chaingraph_executions_open_children",
    executions.c.parent_execution_id,
    postgresql_where=executions.c.child_state != "told",
)
Index(
    "ix_chaingraph_executions_untold_children",
    executions.c.parent_execution_id,
    postgresql_where=executions.c.child_state == "untold",
)
Index(
    "ix_chaingraph_executions_descendants",
    executions.c.root_execution_id,
    postgresql_where=executions.c.parent_execution_id.is_not(None),
)
#: The backlog: what a worker claims next, by priority, then age.
Index(
    "ix_chaingraph_executions_runnable",
    executions.c.priority.desc(),
    executions.c.queued_at,
    executions.c.id,
    postgresql_where=executions.c.runnable_at.is_not(None),
)
#: What comes by itself to those that nobody owns: timers, deadlines, the end of the wait for
#: a start. An owner keeps its own times, and its row stands in here not once.
Index(
    "ix_chaingraph_executions_timers",
    executions.c.wake_at,
    postgresql_where=executions.c.wake_at.is_not(None),
)

claims = Table(
    "chaingraph_execution_claims",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("node_id", Text, primary_key=True, server_default=""),
    Column("worker_id", Text, nullable=False),
    Column("claimed_at", _at, nullable=False),
    Column("status", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("expires_at", _at),
    Column("heartbeat_at", _at, nullable=False),
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

recoveries = Table(
    "chaingraph_execution_recovery",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("execution_id", Text, nullable=False),
    Column("recovered_at", _at, nullable=False, server_default=_now),
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

checkpoints = Table(
    "chaingraph_checkpoints",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("node_id", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", _at, nullable=False),
    Column("completed_at", _at, nullable=False),
    Column("execution_time_ms", Integer, nullable=False),
    Column("worker_id", Text, nullable=False),
    Column("outputs", JSON),
    Column("chosen", JSON),
    Column("error", JSON),
    #: When a node that waits goes on: its next attempt, or, without an error, its end.
    Column("retry_at", _at),
    CheckConstraint("status IN ('completed', 'error', 'waiting')", name="status"),
)

#: Outputs that nodes resolved before their end (`{port: value}`, an open stream without items),
#: among the checkpoints by `seq`: what was fed by them depends on nothing else.
resolutions = Table(
    "chaingraph_resolutions",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("node_id", Text, nullable=False),
    Column("outputs", JSON, nullable=False),
)

#: Events as they were written, those of one statement in a row: of one time, numbered from
#: `first_index`, their types beside an array of their data. `EVENTS_VIEW` shows them singly.
event_batches = Table(
    "chaingraph_event_batches",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("first_index", Integer, primary_key=True),
    Column("written_at", _at, nullable=False),
    Column("types", ARRAY(Text), nullable=False),
    Column("data", JSON, nullable=False),
    CheckConstraint("cardinality(types) >= 1", name="types"),
)

#: The log of events for people: an event a row.
EVENTS_VIEW = """
CREATE VIEW chaingraph_execution_events AS
SELECT b.execution_id, b.first_index + (e.place - 1)::integer AS index,
    e.type, b.written_at AS "timestamp", e.data
FROM chaingraph_event_batches AS b,
    ROWS FROM (unnest(b.types), json_array_elements(b.data)) WITH ORDINALITY
        AS e(type, data, place)
"""

#: Who may call: of a token its hash alone is kept (app/tokens.py).
tokens = Table(
    "chaingraph_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("created_at", _at, nullable=False, server_default=_now),
    Column("revoked_at", _at),
    CheckConstraint("role IN ('admin', 'user')", name="role"),
)
#: A name is free again once its token is revoked.
Index(
    "uq_chaingraph_tokens_name",
    tokens.c.name,
    unique=True,
    postgresql_where=tokens.c.revoked_at.is_(None),
)

#: Who did what to which execution, flow, secret or token: written by the statement that did it. One
#: that came from the executions' own database has its id there in `source_id` (app/store/notes.py).
audit = Table(
    "chaingraph_audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("at", _at, nullable=False, server_default=_now),
    Column("owner_id", Text, nullable=False),
    Column("token_id", Text),
    Column("action", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("source_id", BigInteger),
    CheckConstraint(
        "subject_kind IN ('execution', 'flow', 'secret', 'token')", name="subject_kind"
    ),
)
Index("ix_chaingraph_audit_subject", audit.c.subject_id, audit.c.id)
#: Once, however often it is moved. The time is in it since the ids of a database that was made
#: anew begin anew.
Index(
    "uq_chaingraph_audit_source",
    audit.c.source_id,
    audit.c.at,
    unique=True,
    postgresql_where=audit.c.source_id.is_not(None),
)

#: Executions whose rows retention has deleted, and what belonged to them not yet: their events,
#: and of a root its descendants.
deletions = Table(
    "chaingraph_deletions",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("deleted_at", _at, nullable=False),
    Column("has_descendants", Boolean, nullable=False, server_default=text("false")),
)
Index("ix_chaingraph_deletions_age", deletions.c.deleted_at)
Index(
    "ix_chaingraph_deletions_roots",
    deletions.c.execution_id,
    postgresql_where=deletions.c.has_descendants,
)

#: What was created under an Idempotency-Key: the hash of the body, and the ids.
idempotency_keys = Table(
    "chaingraph_idempotency_keys",
    metadata,
    Column("owner_id", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_hash", Text, nullable=False),
    Column("created_ids", ARRAY(Text), nullable=False),
    Column("created_at", _at, nullable=False),
)
Index("ix_chaingraph_idempotency_keys_age", idempotency_keys.c.created_at)

#: What was sent to executions, in the order of `id`, and which node took it. A node stands here
#: once: a wait that its time ended is a row without a payload.
signals = Table(
    "chaingraph_signals",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("payload", JSON),
    Column("sent_at", _at, nullable=False),
    Column("node_id", Text),
    Column("taken_at", _at),
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
    Column("recorded_at", _at, nullable=False, server_default=_now),
    CheckConstraint("action IN ('start', 'pause', 'resume', 'stop')", name="action"),
)
Index("ix_chaingraph_bulk_commands_execution", bulk_commands.c.execution_id, bulk_commands.c.id)

#: A slot is taken while the claim that it names is active under that epoch, and free again with
#: the claim's end, whatever ended it: nothing is counted, nothing has to be given back.
slots = Table(
    "chaingraph_slots",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("execution_id", Text),
    Column("epoch", Integer, nullable=False, server_default=_zero),
    CheckConstraint("id >= 1", name="id"),
    postgresql_with={"fillfactor": 50},
)

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
    Column("started_at", _at, nullable=False, server_default=_now),
    Column("lease_ms", Integer, nullable=False),
    Column("lock_key", BigInteger),
    Column("lock_server_started_at", _at),
    Column("last_heartbeat_at", _at, nullable=False, server_default=_now),
    CheckConstraint("status IN ('running', 'draining')", name="status"),
    postgresql_with={"fillfactor": 60},
)

beat = Table(
    "chaingraph_beat",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("swept_at", _at, nullable=False),
    Column("worker_id", Text),
    CheckConstraint("id = 1", name="one_row"),
)
