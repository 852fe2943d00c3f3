"""What users import: the client, what a node is written with, and the engine in one process."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from app.client import (
    ApiProblem,
    AsyncClient,
    Client,
    ClientError,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimeout,
)
from app.errors import NodeError, NonRetryableError
from app.nodes.retry import RetryAfter
from app.nodes.sdk import NodeContext, Port, RetryPolicy, Stream, node

if TYPE_CHECKING:
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
    "NodeContext",
    "NodeError",
    "NonRetryableError",
    "Port",
    "RetryAfter",
    "RetryPolicy",
    "ServerUnreachable",
    "Stream",
    "UnexpectedAnswer",
    "WaitTimeout",
    "get_event_bus",
    "get_execution_service",
    "get_execution_store",
    "get_task_queue",
    "node",
    "run_flow",
    "run_node",
]

#: What is the server's, and is loaded when it is asked for: the client does without.
_LATE = {
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
        return getattr(import_module(_LATE[name]), name)
    except ModuleNotFoundError as error:
        needs = f"{name} needs the server: install chaingraph-celery with its extra `server`"
        raise ModuleNotFoundError(f"{error.msg}; {needs}", name=error.name) from error
