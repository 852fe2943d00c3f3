"""Flows, as a caller sees them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from app.client.paging import pages
from app.client.shapes import Flow, Json, Validation, faults
from app.client.transport import Transport


class Flows:
    """The flows of the caller. Every method raises ClientError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def store(self, document: Json) -> Flow:
        """Store a document: a new flow, or the next version of the one whose id it brings."""
        return Flow.from_json(self._transport.post("/flows", document))

    def get(self, flow_id: str, version: int | None = None) -> Flow:
        """Read a flow with its document, the newest version unless another is asked for."""
        return Flow.from_json(self._transport.get(_path(flow_id), {"version": version}))

    def list(self) -> Iterator[Flow]:
        """Give all flows, newest first, without their documents."""
        return map(Flow.from_json, pages(self._transport, "/flows"))

    def validate(self, document: Json) -> Validation:
        """Check a document without storing it."""
        found = self._transport.post("/flows/validate", document, repeatable=True)
        return Validation(faults(found["errors"]), faults(found["warnings"]))

    def hide(self, flow_id: str) -> None:
        """Hide a flow; its executions stay readable."""
        self._transport.delete(_path(flow_id))


def _path(flow_id: str) -> str:
    return f"/flows/{quote(flow_id, safe='')}"
