"""The API from outside: a typed client that needs nothing of the server."""

from __future__ import annotations

from app.client.client import AsyncClient, Client
from app.client.errors import (
    ApiProblem,
    ClientError,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimeout,
)
from app.client.events import AsyncEventStream, EventStream
from app.client.shapes import (
    Accepted,
    Event,
    Execution,
    Fault,
    Flow,
    Health,
    Member,
    Node,
    NodeType,
    Progress,
    Recovery,
    Root,
    Secret,
    Validation,
    Worker,
)

__all__ = [
    "Accepted",
    "ApiProblem",
    "AsyncClient",
    "AsyncEventStream",
    "Client",
    "ClientError",
    "Event",
    "EventStream",
    "Execution",
    "Fault",
    "Flow",
    "Health",
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
    "Worker",
]
