"""What users import: the client, what a node is written with, and the engine in one process."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from app.config.places import ours
from app.errors import (
    Conflict,
    NodeError,
    NonRetryableError,
    NotFound,
    StoreUnavailable,
    ValidationFailed,
)
from app.nodes.retry import RetryAfter
from app.nodes.sdk import NodeContext, Port, RetryPolicy, Stream, node

if TYPE_CHECKING:
    from app.client import (
        ApiProblem,
        AsyncClient,
        Client,
        ClientError,
        ServerUnreachable,
        UnexpectedAnswer,
        WaitTimeout,
    )
    from app.local.node_trial import run_node
    from app.local.trial import run_flow
    from web.programming import (
        get_event_bus,
        get_execution_service,
        get_execution_store,
        get_task_queue,
    )

__all__ = [
    "ApiProblem",
    "AsyncClient",
    "Client",
    "ClientError",
    "Conflict",
    "NodeContext",
    "NodeError",
    "NonRetryableError",
    "NotFound",
    "Port",
    "RetryAfter",
    "RetryPolicy",
    "ServerUnreachable",
    "StoreUnavailable",
    "Stream",
    "UnexpectedAnswer",
    "ValidationFailed",
    "WaitTimeout",
    "get_event_bus",
    "get_execution_service",
    "get_execution_store",
    "get_task_queue",
    "node",
    "run_flow",
    "run_node",
]

#: What is loaded when it is asked for: a worker does without the client, the client without the
#: server.
_LATE = {
    "ApiProblem": "app.client",
    "AsyncClient": "app.client",
    "Client": "app.client",
    "ClientError": "app.client",
    "ServerUnreachable": "app.client",
    "UnexpectedAnswer": "app.client",
    "WaitTimeout": "app.client",
    "get_event_bus": "web.programming",
    "get_execution_service": "web.programming",
    "get_execution_store": "web.programming",
    "get_task_queue": "web.programming",
    "run_flow": "app.local.trial",
    "run_node": "app.local.node_trial",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(ours(_LATE[name])), name)
    except ModuleNotFoundError as error:
        needs = f"{name} needs the server: install chaingraph-celery with its extra `server`"
        raise ModuleNotFoundError(f"{error.msg}; {needs}", name=error.name) from error
