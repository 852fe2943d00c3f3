"""What users import: the client, and what a node is written with."""

from __future__ import annotations

from app.client import Client
from app.nodes.sdk import NodeContext, Port, node

__all__ = ["Client", "NodeContext", "Port", "node"]
