"""What the API does to executions and reads of one: create, start, its row, its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg2.errors
from sqlalchemy import Row, cast, literal, null, select

from app.caller import Caller
from app.store.audit import BY_TYPES, by, noted
from app.store.database import Database
from app.store.family_statements import STANDING as CHILDREN_STANDING
from app.store.flow_lookup import FlowHead, FlowLookup
from app.store.records import NewExecution
from app.store.run_statements import DOCUMENT
from app.store.session import Statement
from app.store.sessions import Sessions
from app.store.signal_statements import STANDING
from app.store.slot_statements import SLOTS_TAKEN
from app.store.sweep_statements import SLOTS
from app.store.tables import checkpoints, claims, executions, resolutions, workers

_CREATE_TYPES = "text[], text[], int[], text[], int[], text[], text[], text[], bool[], bigint[], int[], text[], text[]"


def create_statement(name: str, more_types: str, at: str) -> Statement:
    """A statement that creates executions, each with its first event, at the time `at`.

    `at` is a query that gives the time, or no row where nothing is to be created; it may use
    the parameters of `more_types`, from $14 on.
    """
    return Statement(
        name,
        _CREATE_TYPES + more_types,
        f"""
    WITH t AS MATERIALIZED ({at}), rows AS MATERIALIZED (
        SELECT u.*, t.at
        FROM t, unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
            $13)
            AS u(id, flow_id, flow_version, owner_id, priority, options, inputs, integration,
                 start_requested, start_timeout_ms, nodes_total, created_event,
                 external_events)
    ), created AS (
        INSERT INTO chaingraph_executions
            (id, flow_id, flow_version, owner_id, root_execution_id, priority, created_at,
             queued_at, options, inputs, integration, start_requested_at, runnable_at, wake_at, nodes_total,
             updated_at, external_events)
        SELECT id, flow_id, flow_version, owner_id, id, priority, at, at, options::json,
            inputs::json, integration::json,
            CASE WHEN start_requested THEN at END, CASE WHEN start_requested THEN at END,
            CASE WHEN NOT start_requested THEN at + start_timeout_ms * interval '1 ms' END,
            nodes_total, at, external_events::json
        FROM rows
    )
    INSERT INTO chaingraph_event_batches (execution_id, first_index, written_at, types, data)
    SELECT id, -1, at, ARRAY['execution:created'], ('[' || created_event || ']')::json FROM rows
    RETURNING written_at
    """,
    )


#: Creates any number of executions.
CREATE = create_statement("create_executions", "", "SELECT clock_timestamp() AS at")

#: (execution, who, token, owner or null for any): request the start, once.
REQUEST_START = Statement(
    "request_start",
    "text" + BY_TYPES + ", text",
    f"""
    WITH guard AS (
        UPDATE chaingraph_executions
        SET start_requested_at = clock_timestamp(), runnable_at = clock_timestamp(),
            wake_at = NULL, wake = wake + 1, waiting = NULL
        WHERE id = $1 AND ($4 IS NULL OR owner_id = $4)
            AND status = 'created' AND start_requested_at IS NULL
        RETURNING id
    ), noted AS ({noted("'start'", "execution", "guard", 2)})
    SELECT id FROM guard
    """,
)

#: The first of the backlog.
NEXT_RUNNABLE = Statement(
    "next_runnable",
    "",
    """
    SELECT id FROM chaingraph_executions WHERE runnable_at IS NOT NULL
    ORDER BY priority DESC, queued_at, id LIMIT 1
    """,
)

#: (execution): when each node last started, as its events tell.
STARTED = Statement(
    "started_nodes",
    "text",
    """
    SELECT data ->> 'nodeId', max(timestamp) FROM chaingraph_execution_events
    WHERE execution_id = $1 AND type = 'node:started' GROUP BY 1
    """,
)


def columns_of(rows: Sequence[NewExecution]) -> tuple[list[object], ...]:
    """The first parameters of a statement that creates these."""
    return (
        [row.id for row in rows],
        [row.flow_id for row in rows],
        [row.flow_version for row in rows],
        [row.owner_id for row in rows],
        [row.priority for row in rows],
        [row.options for row in rows],
        [row.inputs for row in rows],
        [row.integration for row in rows],
        [row.start_requested for row in rows],
        [row.start_timeout_ms for row in rows],
        [row.nodes_total for row in rows],
        [row.created_event for row in rows],
        [row.external_events for row in rows],
    )


class ExecutionTable:
    """Executions as the API sees them. Every method may raise StoreUnavailable.

    `limit` is QUEUE_CONCURRENCY; `flows` finds the flows to run, in this database unless given.
    """

    def __init__(
        self, database: Database, *, limit: int = 0, flows: FlowLookup | None = None
    ) -> None:
        self._database = database
        self._sessions: Sessions = database
        self._flows = flows or FlowLookup(database)
        self._limit = limit

    def create(self, rows: Sequence[NewExecution]) -> datetime:
        """Insert the rows and their first events, all or none; gives the events' time.

        Trying again after a lost reply is safe: ids that are there were inserted by it.
        """
        with self._sessions.session() as session:
            at: datetime = session.execute(CREATE, *columns_of(rows))[0][0]
        return at

    def request_start(self, execution_id: str, caller: Caller | None = None) -> bool:
        """Request the start; False where it was requested before or the status forbids it.

        Also where the caller sees no such execution.
        """
        scope = None if caller is None else caller.scope
        with self._sessions.session() as session:
            return bool(session.execute(REQUEST_START, execution_id, *by(caller), scope))

    def next_runnable(self) -> str | None:
        """The execution that a worker would claim next."""
        with self._sessions.session() as session:
            rows = session.execute(NEXT_RUNNABLE)
        return rows[0][0] if rows else None

    def limit_reached(self, rows: Iterable[Any]) -> int | None:
        """QUEUE_CONCURRENCY, if one of these rows is runnable and that keeps it from running."""
        if not self._limit or not any(row.runnable_at is not None for row in rows):
            return None
        with self._sessions.session() as session:
            is_reached = session.execute(SLOTS_TAKEN, self._limit)[0][0]
        return self._limit if is_reached else None

    def flow_head(self, flow_id: str) -> FlowHead | None:
        """What create must know of a flow; None where there is none."""
        return self._flows.head(flow_id)

    def document_to_run(self, flow_id: str, version: int) -> str | None:
        """The document (JSON text) of a version that is to be run; None where there is none.

        From then on it is beside the executions. Raises Conflict where that has another one.
        """
        return self._flows.document(flow_id, version)

    def document(self, flow_id: str, version: int) -> str | None:
        """The document (JSON text) of a version that was run; None where there is none."""
        with self._sessions.session() as session:
            rows = session.execute(DOCUMENT, flow_id, version)
        return rows[0][0] if rows else None

    def slots(self) -> dict[str, int]:
        """How much the workers alive can run at once, by the queues that they consume."""
        with self._sessions.session() as session:
            return dict(session.execute(SLOTS))

    def started_at(self, execution_id: str) -> dict[str, datetime]:
        """When the latest attempt of each node started, by node id."""
        with self._sessions.session() as session:
            return dict(session.execute(STARTED, execution_id))

    def signals(self, execution_id: str) -> list[tuple[str | None, str]]:
        """Node and name of each signal: a node whose wait has ended, None for what is kept."""
        with self._sessions.session() as session:
            rows = session.execute(STANDING, execution_id)
        return [(node_id, name) for node_id, name in rows]

    def children(self, execution_id: str) -> list[tuple[str, str]]:
        """The nodes that have children whose ends are not noted, with each state of such a child."""
        with self._sessions.session() as session:
            rows = session.execute(CHILDREN_STANDING, execution_id)
        return [(node_id, state) for node_id, state in rows]

    def one(self, execution_id: str) -> Row[Any] | None:
        """The row with this id."""
        with self._database.reading() as connection:
            found = connection.execute(select(executions).where(executions.c.id == execution_id))
            return found.one_or_none()

    def many(self, execution_ids: Sequence[str]) -> Sequence[Row[Any]]:
        """The rows with these ids, in whatever order; what isn't there is left out."""
        with self._database.reading() as connection:
            query = select(executions).where(executions.c.id.in_(execution_ids))
            return list(connection.execute(query))

    def checkpoints(self, execution_id: str) -> Sequence[Row[Any]]:
        """The checkpoints and resolutions of an execution in the order of writing."""
        query = _CHECKPOINTS.where(checkpoints.c.execution_id == execution_id).union_all(
            _RESOLUTIONS.where(resolutions.c.execution_id == execution_id)
        )
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by("seq")))

    def active_claims(self, owner_id: str | None) -> Sequence[Row[Any]]:
        """(worker id, execution id) of all that runs now, or of what an owner has of it."""
        query = select(claims.c.worker_id, claims.c.execution_id).where(claims.c.status == "active")
        if owner_id is not None:
            query = query.join(executions, executions.c.id == claims.c.execution_id)
            query = query.where(executions.c.owner_id == owner_id)
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(claims.c.claimed_at)))

    def workers(self) -> Sequence[Row[Any]]:
        """The rows of all worker processes, parents first."""
        query = select(workers).order_by(workers.c.parent_worker_id.is_not(None))
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(workers.c.started_at)))


_CHECKPOINTS = select(checkpoints)
#: Resolutions in the columns of checkpoints, of a status of their own.
_RESOLVED: Mapping[str, Any] = {
    **{column.name: resolutions.c[column.name] for column in resolutions.c},
    "status": literal("resolved"),
}
_RESOLUTIONS = select(
    *[
        _RESOLVED.get(column.name, cast(null(), column.type)).label(column.name)
        for column in checkpoints.c
    ]
)

#: Raised by a second insert of the same id.
DuplicateId = psycopg2.errors.UniqueViolation
