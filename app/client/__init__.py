"""The API from outside: a typed client that needs nothing of the server."""

from __future__ import annotations

from app.client.client import Client
from app.client.errors import (
    ApiProblem,
    ClientError,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimeout,
)
from app.client.events import EventStream
from app.client.shapes import (
    Accepted,
    Event,
    Execution,
    Fault,
    Flow,
    Member,
    Node,
    NodeType,
    Progress,
    Recovery,
    Root,
    Secret,
    Validation,
)

__all__ = [
    "Accepted",
    "ApiProblem",
    "Client",
    "ClientError",
    "Event",
    "EventStream",
    "Execution",
    "Fault",
    "Flow",
    "Member",
    "Node",
    "NodeType",
    "Progress",
    "Recovery",
    "Root",
    "Secret",
    "ServerUnreachable",
    "UnexpectedAnswer",
    "Validation",
    "WaitTimeout",
]
