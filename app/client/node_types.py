"""The node catalogue, as a caller sees it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from app.client.paging import pages
from app.client.shapes import NodeType
from app.client.transport import Transport


class NodeTypes:
    """The types of nodes that the server knows. Every method raises ClientError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[NodeType]:
        """Give all types by name."""
        return map(NodeType.from_json, pages(self._transport, "/nodes"))

    def get(self, node_type: str) -> NodeType:
        """Read one type."""
        return NodeType.from_json(self._transport.get(f"/nodes/{quote(node_type, safe='')}"))
