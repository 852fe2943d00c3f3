"""Flows and their versions: the statements, and the rows that they give.

The row of a flow says which version is the newest; every version is a row that never changes.
Whoever writes a version locks the flow's row first, so that versions are numbered without a
gap whatever comes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.caller import Caller
from app.store.audit import BY_TYPES, by, noted
from app.store.session import Statement
from app.store.sessions import Sessions

#: Before every flow there is: where a list that is newest first begins.
_NEWEST = (datetime.max.replace(tzinfo=UTC), "")

#: (id, owner, name, document, token): a new flow, or the owner's next version; another's: no row.
STORE = Statement(
    "store_flow",
    "text, text, text, json, text",
    """
    WITH stored AS (
        INSERT INTO chaingraph_flows AS f (id, owner_id, name, version, created_at, updated_at)
        SELECT $1, $2, $3, 1, now, now
        FROM clock_timestamp() AS now
        ON CONFLICT (id) DO UPDATE
        SET version = f.version + 1, name = excluded.name, updated_at = excluded.updated_at,
            hidden_at = NULL
        WHERE f.owner_id = excluded.owner_id
        RETURNING id, version, owner_id, name, created_at, updated_at
    ), versioned AS (
        INSERT INTO chaingraph_flow_versions (flow_id, version, document, created_at)
        SELECT id, version, $4, updated_at FROM stored
    ), noted AS (
        INSERT INTO chaingraph_audit (owner_id, token_id, action, subject_kind, subject_id)
        SELECT $2, $5, 'save', 'flow', id FROM stored
    )
    SELECT id, version, owner_id, name, created_at, updated_at FROM stored
    """,
)

#: (id, owner or null for any, name, document, expected versions or null, who, token): the next version, if the present one
#: is among those expected.
REPLACE = Statement(
    "replace_flow",
    "text, text, text, json, int[]" + BY_TYPES,
    f"""
    WITH stored AS (
        UPDATE chaingraph_flows
        SET version = version + 1, name = $3, updated_at = date_trunc('milliseconds', clock_timestamp())
        WHERE id = $1 AND ($2 IS NULL OR owner_id = $2) AND hidden_at IS NULL
          AND ($5 IS NULL OR version = ANY ($5))
        RETURNING id, version, owner_id, name, created_at, updated_at
    ), versioned AS (
        INSERT INTO chaingraph_flow_versions (flow_id, version, document, created_at)
        SELECT id, version, $4, updated_at FROM stored
    ), noted AS ({noted("'save'", "flow", "stored", 6)})
    SELECT id, version, owner_id, name, created_at, updated_at FROM stored
    """,
)

#: (id, owner or null for any): the flow as a list shows it.
READ = Statement(
    "read_flow",
    "text, text",
    """
    SELECT id, version, owner_id, name, created_at, updated_at FROM chaingraph_flows
    WHERE id = $1 AND ($2 IS NULL OR owner_id = $2) AND hidden_at IS NULL
    """,
)

#: (id, owner or null for any, version or null for the newest): the flow with a document. It is as old as its
#: version; the name that the row has is the newest version's.
READ_VERSION = Statement(
    "read_flow_version",
    "text, text, int",
    """
    SELECT f.id, v.version, f.owner_id, f.name, f.created_at, v.created_at, v.document::text
    FROM chaingraph_flows AS f
    JOIN chaingraph_flow_versions AS v
      ON v.flow_id = f.id AND v.version = coalesce($3, f.version)
    WHERE f.id = $1 AND ($2 IS NULL OR f.owner_id = $2) AND f.hidden_at IS NULL
    """,
)

#: (id, owner): the newest document of the owner's flow, whether it is hidden or not.
READ_NEWEST = Statement(
    "read_newest_document",
    "text, text",
    """
    SELECT v.document::text
    FROM chaingraph_flows AS f
    JOIN chaingraph_flow_versions AS v ON v.flow_id = f.id AND v.version = f.version
    WHERE f.id = $1 AND f.owner_id = $2
    """,
)

#: (owner or null for all, created at, id, limit): those before the place, newest first.
LIST = Statement(
    "list_flows",
    "text, timestamptz, text, int",
    """
    SELECT id, version, owner_id, name, created_at, updated_at FROM chaingraph_flows
    WHERE ($1 IS NULL OR owner_id = $1) AND hidden_at IS NULL AND (created_at, id) < ($2, $3)
    ORDER BY created_at DESC, id DESC
    LIMIT $4
    """,
)

#: (id, owner or null for any, who, token): no list shows it any more; its versions stay for the executions bound to them.
HIDE = Statement(
    "hide_flow",
    "text, text" + BY_TYPES,
    f"""
    WITH hidden AS (
        UPDATE chaingraph_flows SET hidden_at = date_trunc('milliseconds', clock_timestamp())
        WHERE id = $1 AND ($2 IS NULL OR owner_id = $2) AND hidden_at IS NULL
        RETURNING id
    ), noted AS ({noted("'hide'", "flow", "hidden", 3)})
    SELECT id FROM hidden
    """,
)


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A flow; `document` (JSON text) only where one version was asked for."""

    id: str
    version: int
    owner_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    document: str | None = None


class FlowStore:
    """Flows in PostgreSQL. Every method may raise StoreUnavailable."""

    def __init__(self, database: Sessions) -> None:
        self._database = database

    def store(self, flow_id: str, caller: Caller, name: str, document: str) -> FlowRow | None:
        """Store a version, of a new flow if need be; None if the id is another owner's."""
        return self._one(STORE, flow_id, caller.owner_id, name, document, caller.token_id)

    def replace(
        self,
        flow_id: str,
        caller: Caller,
        name: str,
        document: str,
        expected: Sequence[int] | None,
    ) -> FlowRow | None:
        """Store the next version of a flow, if its present one is among those expected.

        None if there is no such flow, or it is at another version.
        """
        versions = None if expected is None else list(expected)
        return self._one(REPLACE, flow_id, caller.scope, name, document, versions, *by(caller))

    def read(self, flow_id: str, scope: str | None) -> FlowRow | None:
        """A flow without a document, of one owner or of any; None if there is none."""
        return self._one(READ, flow_id, scope)

    def read_version(self, flow_id: str, scope: str | None, version: int | None) -> FlowRow | None:
        """A flow with the document of a version, the newest by default; None if there is none."""
        return self._one(READ_VERSION, flow_id, scope, version)

    def newest_document(self, flow_id: str, owner_id: str) -> str | None:
        """The newest document (JSON text) of an owner's flow, a hidden one's too."""
        with self._database.session() as session:
            rows = session.execute(READ_NEWEST, flow_id, owner_id)
        return rows[0][0] if rows else None

    def page(
        self, scope: str | None, limit: int, before: tuple[datetime, str] | None
    ) -> list[FlowRow]:
        """Up to `limit` flows, of one owner or of all, newest first, from after the place `before`."""
        created_at, flow_id = before or _NEWEST
        with self._database.session() as session:
            rows = session.execute(LIST, scope, created_at, flow_id, limit)
        return [FlowRow(*row) for row in rows]

    def hide(self, flow_id: str, caller: Caller) -> bool:
        """Hide a flow; False if the caller sees no such flow."""
        with self._database.session() as session:
            return bool(session.execute(HIDE, flow_id, caller.scope, *by(caller)))

    def _one(self, statement: Statement, *args: object) -> FlowRow | None:
        with self._database.session() as session:
            rows = session.execute(statement, *args)
        return FlowRow(*rows[0]) if rows else None
