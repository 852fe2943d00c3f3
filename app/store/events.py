"""Reading the log of events. It is written by the statements that end nodes, never here."""

from __future__ import annotations

from collections.abc import Collection

from app.events.log import Head, StoredEvent
from app.events.wire import envelope, timestamp
from app.store.session import Statement
from app.store.sessions import Sessions

#: The largest index there can be.
_NO_BOUND = 2**31 - 1

#: The batches that reach into the range, and of these the events in it.
_READ = """
    SELECT b.first_index + (e.place - 1)::int AS index, e.type, b.written_at, e.data::text
    FROM chaingraph_event_batches AS b,
        ROWS FROM (unnest(b.types), json_array_elements(b.data)) WITH ORDINALITY
            AS e(type, data, place)
    WHERE b.execution_id = $1
        AND b.first_index BETWEEN coalesce((
            SELECT max(first_index) FROM chaingraph_event_batches
            WHERE execution_id = $1 AND first_index <= $2), $2) AND $3
        AND b.first_index + e.place - 1 BETWEEN $2 AND $3 {which}
    ORDER BY b.first_index, e.place
    LIMIT $4
"""

#: (execution, from, up to, limit)
READ = Statement("read_events", "text, int, int, int", _READ.format(which=""))
#: (execution, from, up to, limit, types)
READ_TYPES = Statement(
    "read_events_of_types",
    "text, int, int, int, text[]",
    _READ.format(which="AND e.type = ANY ($5)"),
)
#: (executions): one query for all that a process watches.
HEADS = Statement(
    "event_heads",
    "text[]",
    """
    SELECT id, last_event_index, status, owner_id
    FROM chaingraph_executions
    WHERE id = ANY ($1)
    """,
)
#: (executions): those that nobody has asked to watch yet, and that still may tell something.
UNWATCHED = Statement(
    "unwatched",
    "text[]",
    """
    SELECT id FROM chaingraph_executions
    WHERE id = ANY ($1) AND NOT watched AND completed_at IS NULL
    """,
)
#: (executions): those of them that nobody has locked are watched from now on. Whoever writes the
#: events of one after this commit is told so by its own statement, which has locked the same row;
#: what came before can be read after. Nobody waits here, so no client waits for another's lock,
#: and the order in which rows are locked is in nobody's way.
WATCH = Statement(
    "watch",
    "text[]",
    """
    UPDATE chaingraph_executions SET watched = true
    WHERE id IN (
        SELECT id FROM chaingraph_executions
        WHERE id = ANY ($1) AND NOT watched AND completed_at IS NULL
        FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING id
    """,
)


class EventLog:
    """The events of all executions, as PostgreSQL has them."""

    def __init__(self, database: Sessions) -> None:
        self._database = database

    def read(
        self,
        execution_id: str,
        from_index: int,
        limit: int,
        types: Collection[str] | None = None,
        *,
        up_to: int | None = None,
    ) -> list[StoredEvent]:
        """Read events from an index on, in order; only those of the types, if given."""
        bounds = (execution_id, from_index, _NO_BOUND if up_to is None else up_to, limit)
        with self._database.session() as session:
            if types is None:
                rows = session.execute(READ, *bounds)
            else:
                rows = session.execute(READ_TYPES, *bounds, sorted(types))
        return [
            StoredEvent(
                index, event_type, envelope(execution_id, index, event_type, timestamp(at), data)
            )
            for index, event_type, at, data in rows
        ]

    def heads(self, execution_ids: Collection[str]) -> dict[str, Head]:
        """Where the logs of these executions end; what doesn't exist is left out."""
        with self._database.session() as session:
            rows = session.execute(HEADS, list(execution_ids))
        return {row[0]: Head(*row[1:]) for row in rows}

    def watch(self, execution_ids: Collection[str]) -> list[str]:
        """Have the events of these executions published from now on; gives the others.

        Those are locked by somebody, and to be tried again. What was committed before must be
        read after this. Raises StoreUnavailable.
        """
        with self._database.session() as session:
            unwatched = [row[0] for row in session.execute(UNWATCHED, list(execution_ids))]
            if not unwatched:
                return []
            marked = {row[0] for row in session.execute(WATCH, unwatched)}
        return [each for each in unwatched if each not in marked]

    def head(self, execution_id: str) -> Head | None:
        """Where the log of one execution ends; None if there is no such execution."""
        return self.heads([execution_id]).get(execution_id)
