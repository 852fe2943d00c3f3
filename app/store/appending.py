"""Events from outside of a run, appended to an execution's log while it is not final.

The row is locked while they are numbered, so they stand between those of its owner, who needs
to know nothing of them: neither its epoch nor its count of writes changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from app.events.wire import EncodedEvent, data_text
from app.store.session import Statement
from app.store.sessions import Sessions

#: (execution, types, data): void where the execution is final, or there is none.
APPEND = Statement(
    "append_events",
    "text, text[], text",
    """
    WITH guard AS (
        UPDATE chaingraph_executions
        SET last_event_index = last_event_index + cardinality($2)
        WHERE id = $1 AND completed_at IS NULL
        RETURNING last_event_index - cardinality($2) + 1 AS first
    )
    INSERT INTO chaingraph_event_batches (execution_id, first_index, written_at, types, data)
    SELECT $1, first, date_trunc('milliseconds', statement_timestamp()), $2, $3::json FROM guard
    RETURNING first_index, written_at
    """,
)


class Appended(NamedTuple):
    """Where events stand in the log: the index of the first, and their time."""

    first_index: int
    at: datetime


class EventAppender:
    """Appends events. Raises StoreUnavailable."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def append(self, execution_id: str, events: Sequence[EncodedEvent]) -> Appended | None:
        """Append events in a row; None where the execution is final, or there is none."""
        types = [type_ for type_, _ in events]
        with self._sessions.session() as session:
            rows = session.execute(APPEND, execution_id, types, data_text(events))
        return Appended(*rows[0]) if rows else None
