"""The flow that something is to run: whose it is, and the document of a version.

Where executions have a database of their own (DATABASE_URL_EXECUTIONS), a version is copied there
before anything is created that runs it. From then on its runs read that database alone.
"""

from __future__ import annotations

from typing import NamedTuple

from app.errors import Conflict
from app.store.run_statements import DOCUMENT
from app.store.session import Statement
from app.store.sessions import Sessions
from app.store.texts import is_storable

#: (flow): what create must know of a flow.
FLOW_HEAD = Statement(
    "flow_head",
    "text",
    "SELECT owner_id, version, hidden_at IS NOT NULL FROM chaingraph_flows WHERE id = $1",
)

#: (flow, version): its document, and when it was stored.
ORIGINAL = Statement(
    "original_flow_version",
    "text, int",
    """
    SELECT document::text, created_at FROM chaingraph_flow_versions
    WHERE flow_id = $1 AND version = $2
    """,
)

#: (flow, version, document, stored at): a copy, unless there is one; whether it is of that very
#: version. Not DO NOTHING, which gives no row where there is one.
COPY = Statement(
    "copy_flow_version",
    "text, int, json, timestamptz",
    """
    INSERT INTO chaingraph_flow_versions AS v (flow_id, version, document, created_at)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (flow_id, version) DO UPDATE SET created_at = v.created_at
    RETURNING created_at = $4
    """,
)


class FlowHead(NamedTuple):
    """Whose a flow is, its newest version, and whether it was deleted."""

    owner_id: str
    version: int
    is_hidden: bool


class FlowLookup:
    """Flows beside the executions. Every method may raise StoreUnavailable."""

    def __init__(self, flows: Sessions) -> None:
        self._flows = flows

    def head(self, flow_id: str) -> FlowHead | None:
        """What create must know of a flow; None where there is none."""
        if not is_storable(flow_id):
            return None
        with self._flows.session() as session:
            rows = session.execute(FLOW_HEAD, flow_id)
        return FlowHead(*rows[0]) if rows else None

    def document(self, flow_id: str, version: int) -> str | None:
        """The document (JSON text) of a version that is to be run; None where there is none."""
        with self._flows.session() as session:
            rows = session.execute(DOCUMENT, flow_id, version)
        return rows[0][0] if rows else None


class CopyingLookup(FlowLookup):
    """Flows in another database than the executions. From any thread."""

    def __init__(self, flows: Sessions, executions: Sessions) -> None:
        super().__init__(flows)
        self._executions = executions

    def document(self, flow_id: str, version: int) -> str | None:
        """The same, and it is beside the executions from now on, whoever dies.

        Raises Conflict where another version with this number was copied before: DATABASE_URL
        was restored to an earlier state, and has given the number again.
        """
        with self._flows.session() as session:
            rows = session.execute(ORIGINAL, flow_id, version)
        if not rows:
            return None
        [(document, created_at)] = rows
        with self._executions.session() as session:
            [(is_same,)] = session.execute(COPY, flow_id, version, document, created_at)
        if not is_same:
            raise Conflict(
                f"Executions have run another version {version} of flow '{flow_id}', from before"
                " DATABASE_URL was restored: save the flow again"
            )
        return str(document)
