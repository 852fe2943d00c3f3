"""The node catalogue, as a caller sees it."""

from __future__ import annotations

from app.client.calls import Listing, at, get
from app.client.methods import Group, Way, listing, method
from app.client.procedures import Procedure
from app.client.shapes import NodeType


class NodeTypes(Group[Way]):
    """The types of nodes that the server knows. Every method raises ClientError."""

    @listing
    def list(self) -> Listing[NodeType]:
        """Give all types by name."""
        return Listing(at("nodes"), NodeType.from_json)

    @method
    def get(self, node_type: str) -> Procedure[NodeType]:
        """Read one type."""
        return self.ask(get(at("nodes", node_type), NodeType.from_json))
