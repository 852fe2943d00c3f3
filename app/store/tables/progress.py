"""What a run came to, and what it told: checkpoints, outputs given early, events."""

from __future__ import annotations

from sqlalchemy import ARRAY, JSON, CheckConstraint, Column, Integer, Table, Text

from app.store.tables.schema import AT, metadata

checkpoints = Table(
    "chaingraph_checkpoints",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("node_id", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", AT, nullable=False),
    Column("completed_at", AT, nullable=False),
    Column("execution_time_ms", Integer, nullable=False),
    Column("worker_id", Text, nullable=False),
    Column("outputs", JSON),
    Column("chosen", JSON),
    Column("error", JSON),
    #: When a node that waits goes on: its next attempt, or, without an error, its end.
    Column("retry_at", AT),
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
    Column("written_at", AT, nullable=False),
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
