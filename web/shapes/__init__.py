"""The shapes of answers, and of flows as bodies, for whoever describes the API.

No request is slowed by them: answers are made as plain objects where they are
known (app/executions/views.py, say); the integration tests hold every one of them against these.
"""

from __future__ import annotations

from web.shapes.documents import AnyDocument, FlowDocument, Validation
from web.shapes.executions import (
    Accepted,
    Execution,
    ExecutionList,
    ExecutionPage,
    RecoveryPage,
    RootPage,
    Signalled,
    TreePage,
)
from web.shapes.flows import FlowOrDocument, FlowPage, SavedFlow
from web.shapes.history import EventPage, Node, NodePage
from web.shapes.node_types import NodeType, NodeTypePage
from web.shapes.problems import Problem
from web.shapes.secrets import Secret, SecretPage
from web.shapes.servers import Live, OpenApi, Ready, WorkerPage

__all__ = [
    "Accepted",
    "AnyDocument",
    "EventPage",
    "Execution",
    "ExecutionList",
    "ExecutionPage",
    "FlowDocument",
    "FlowOrDocument",
    "FlowPage",
    "Live",
    "Node",
    "NodePage",
    "NodeType",
    "NodeTypePage",
    "OpenApi",
    "Problem",
    "Ready",
    "RecoveryPage",
    "RootPage",
    "SavedFlow",
    "Secret",
    "SecretPage",
    "Signalled",
    "TreePage",
    "Validation",
    "WorkerPage",
]
