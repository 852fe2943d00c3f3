"""An execution: what it was created with, where it stands, what it waits for.

The life of a row: inserted by create (`runnable_at` set if its start is already
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
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    text,
)

from app.store.tables.schema import AT, NOW, ZERO, metadata

executions = Table(
    "chaingraph_executions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("flow_id", Text, nullable=False),
    Column("flow_version", Integer, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("root_execution_id", Text, nullable=False),
    Column("parent_execution_id", Text),
    Column("execution_depth", Integer, nullable=False, server_default=ZERO),
    #: Of a child: the node that made it ('' for an event that came with the start of its
    #: parent), and which of that node's it is, from 0.
    Column("parent_node_id", Text),
    Column("child_ordinal", Integer),
    Column("forked_from", Text),
    Column("priority", SmallInteger, nullable=False, server_default=ZERO),
    Column("created_at", AT, nullable=False),
    Column("options", JSON, nullable=False),
    Column("inputs", JSON),
    Column("integration", JSON),
    Column("external_events", JSON),
    # -- what changes, rarely to often
    Column("status", Text, nullable=False, server_default="created"),
    Column("start_requested_at", AT),
    Column("started_at", AT),
    Column("completed_at", AT),
    #: When a run must be over: stored once an owner gives it up, and until then so long after
    #: its start as `flowTimeoutMs` says. While it is paused, how much of its time is left instead.
    Column("deadline_at", AT),
    Column("deadline_left_ms", BigInteger),
    Column("error_message", Text),
    Column("error_node_id", Text),
    Column("failure_count", Integer, nullable=False, server_default=ZERO),
    Column("last_failure_reason", Text),
    Column("last_failure_at", AT),
    Column("requested", Text),
    Column("requested_seq", Integer, nullable=False, server_default=ZERO),
    Column("requested_reason", Text),
    Column("breakpoints_hit", ARRAY(Text)),
    #: Of a child: open until it ends, untold until its parent has noted that, then told.
    Column("child_state", Text),
    #: How many children were made that count against MAX_CHILDREN_PER_PARENT, or came as events.
    Column("children", Integer, nullable=False, server_default=ZERO),
    Column("waiting", JSON),
    Column("runnable_at", AT),
    #: Its place in the backlog: since when it waits its turn, which is since it was created, or
    #: since it last gave way to others.
    Column("queued_at", AT, nullable=False, server_default=NOW),
    Column("wake_at", AT),
    Column("processing_started_at", AT),
    Column("processing_worker_id", Text),
    Column("claim_token", Text),
    Column("epoch", Integer, nullable=False, server_default=ZERO),
    Column("crashes", Integer, nullable=False, server_default=ZERO),
    Column("wake", Integer, nullable=False, server_default=ZERO),
    Column("nodes_total", Integer, nullable=False, server_default=ZERO),
    Column("updated_at", AT, nullable=False),
    Column("writes", Integer, nullable=False, server_default=ZERO),
    Column("last_event_index", Integer, nullable=False, server_default=text("-1")),
    Column("nodes_completed", Integer, nullable=False, server_default=ZERO),
    Column("nodes_failed", Integer, nullable=False, server_default=ZERO),
    Column("nodes_skipped", Integer, nullable=False, server_default=ZERO),
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
