"""The documents of flow versions: of those that are to be run, and of those that were."""

from __future__ import annotations

from app.errors import NotFound
from app.store.executions import ExecutionTable


class Documents:
    """Gives documents as JSON text. Raises NotFound, StoreUnavailable."""

    def __init__(self, table: ExecutionTable) -> None:
        self._table = table

    def to_run(self, flow_id: str, version: int) -> str:
        """The document of a version that something is created for; it is beside it from then on.

        Raises Conflict where another version with this number is there.
        """
        return _there(self._table.document_to_run(flow_id, version), flow_id, version)

    def of_run(self, flow_id: str, version: int) -> str:
        """The document of a version that was run."""
        return _there(self._table.document(flow_id, version), flow_id, version)


def _there(document: str | None, flow_id: str, version: int) -> str:
    if document is None:
        raise NotFound(f"Flow '{flow_id}' has no version {version}")
    return document
