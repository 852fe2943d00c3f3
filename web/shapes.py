"""The shapes of answers, for whoever describes the API: no request is slowed by them.

Answers are made as plain objects where they are known (app/executions/views.py, say); the
integration tests hold every one of them against these.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel, WithJsonSchema
from pydantic.alias_generators import to_camel

from app.executions.options import ExecutionOptions, ExternalEvent
from app.flows.document import MAX_NAME
from app.nodes.library.secrets import SecretType
from web.schemas import MAX_ID_LENGTH, Status

Item = TypeVar("Item")

Time = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        }
    ),
]


_GREETING: dict[str, Any] = {
    "metadata": {"name": "Greeting"},
    "nodes": [
        {"id": "who", "type": "TextNode", "values": {"text": "Ada"}},
        {
            "id": "greet",
            "type": "HandlebarsTemplateNode",
            "values": {"template": "Hello {{name}}"},
        },
    ],
    "edges": [{"source": "who.text", "target": "greet.variables.name"}],
}


class Shape(BaseModel):
    """An object of an answer: all of its members are always there, some of them null."""

    model_config = ConfigDict(alias_generator=to_camel)


class Page(Shape, Generic[Item]):
    """One page of a list; `nextCursor` is null at the end."""

    items: list[Item]
    next_cursor: str | None


class Items(Shape, Generic[Item]):
    """A whole list."""

    items: list[Item]


class Fault(Shape):
    """One thing wrong, or odd: where, as a JSON pointer, and what."""

    pointer: str
    message: str


class Problem(Shape):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[Fault] = Field(default=[], description="what is wrong with a body or a query")
    error_id: str = Field(default="", description="where to find a fault of ours in the log")


class FlowHead(Shape):
    """A flow as lists show it."""

    id: str
    flow_id: str
    version: int
    owner_id: str
    name: str
    created_at: Time
    updated_at: Time


class Flow(FlowHead):
    """A flow with the document of one version."""

    document: dict[str, Any]


class FlowPage(Page[FlowHead]):
    """One page of flows."""


class SavedFlow(Flow):
    """A flow that was saved, and what is odd about it."""

    warnings: list[Fault]


class Validation(Shape):
    """What a check of a document found."""

    valid: bool
    errors: list[Fault]
    warnings: list[Fault]


class FlowMetadata(BaseModel):
    """What a flow is called; further members are kept."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(max_length=MAX_NAME)]


class FlowNode(BaseModel):
    """A node as it is written."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
    type: Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]


class LongEdge(BaseModel):
    """An edge between two ports."""

    model_config = ConfigDict(extra="allow")

    source_node_id: str = Field(alias="sourceNodeId", min_length=1)
    source_port_id: str = Field(alias="sourcePortId", min_length=1)
    target_node_id: str = Field(alias="targetNodeId", min_length=1)
    target_port_id: str = Field(alias="targetPortId", min_length=1)


class ShortEdge(BaseModel):
    """The same, each end as `node.port`."""

    model_config = ConfigDict(extra="allow")

    source: Annotated[str, Field(min_length=1)]
    target: Annotated[str, Field(min_length=1)]


class FlowDocument(BaseModel):
    """A flow as it is written: nodes, and edges between their ports."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [_GREETING]})

    id: Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)] | None = None
    metadata: FlowMetadata
    nodes: list[FlowNode]
    edges: list[LongEdge | ShortEdge]


class AnyDocument(BaseModel):
    """Whatever is to be checked as a flow."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [_GREETING, {}]})


class FlowOrDocument(RootModel[Flow | FlowDocument]):
    """A flow, or with `format=chaingraph` its document alone."""


class OpenApi(BaseModel):
    """An OpenAPI document."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]


class Port(BaseModel):
    """A port of a node type; bounds as documents write them."""

    model_config = ConfigDict(extra="allow")

    id: str
    direction: Literal["input", "output", "passthrough"]
    type: str
    required: bool


class Retry(Shape):
    """How often a failed node is tried, and how long (ms) the pauses are."""

    max_attempts: int
    backoff_ms: int
    backoff_factor: float
    max_backoff_ms: int


class NodeType(Shape):
    """A type of the catalogue."""

    id: str
    type: str
    category: str
    title: str
    description: str
    tags: list[str]
    deprecated: bool
    effects: bool
    extra_ports: bool
    retry: Retry
    timeout_ms: int | None
    queue: str | None
    ports: list[Port]
    system_ports: list[Port]


class NodeTypePage(Page[NodeType]):
    """One page of the catalogue."""


class Waiting(Shape):
    """Why nothing moves."""

    for_: str = Field(alias="for")
    since: Time
    until: Time | None
    detail: dict[str, Any]


class Progress(Shape):
    """Nodes in all, and those that are settled."""

    total: int
    completed: int
    failed: int
    skipped: int


class Execution(Shape):
    """One run of a flow. `outputs` are null until it is completed, and in lists."""

    id: str
    execution_id: str
    flow_id: str
    flow_version: int
    owner_id: str
    root_execution_id: str
    parent_execution_id: str | None
    execution_depth: int
    forked_from: str | None
    status: Status
    requested: Literal["start", "pause", "step", "stop"] | None
    waiting: Waiting | None
    progress: Progress
    outputs: dict[str, Any] | None
    created_at: Time
    updated_at: Time
    started_at: Time | None
    completed_at: Time | None
    error_message: str | None
    error_node_id: str | None
    options: ExecutionOptions
    integration: Any
    external_events: list[ExternalEvent]
    failure_count: int
    last_failure_reason: str | None
    last_failure_at: Time | None
    processing_started_at: Time | None
    processing_worker_id: str | None
    last_event_index: int


class ExecutionPage(Page[Execution]):
    """One page of executions."""


class ExecutionList(Items[Execution]):
    """Executions, all of them."""


class Accepted(Shape):
    """How many executions a filter matched, and how many of them take the command."""

    matched: int
    accepted: int


class Signalled(Shape):
    """The node that a signal went to; null while it is kept for one."""

    delivered: str | None


class Root(Shape):
    """A root execution with the size of its tree: levels and executions, itself counted."""

    execution: Execution
    levels: int
    total_nested: int


class RootPage(Page[Root]):
    """One page of root executions."""


class Member(Shape):
    """An execution of a tree, whose top is on level 0."""

    id: str
    parent_id: str | None
    level: int
    execution: Execution


class TreePage(Page[Member]):
    """One page of a tree."""


class Recovery(Shape):
    """One time that an execution was taken from its owner."""

    recovered_at: Time
    recovered_by_worker: str
    recovery_reason: Literal["worker_died", "expired_claim", "no_claim", "requested"]
    previous_status: Status
    previous_worker_id: str | None


class RecoveryPage(Page[Recovery]):
    """One page of the audit trail."""


class NodeFailure(Shape):
    """Why a node failed."""

    type: str
    message: str


class Node(Shape):
    """A node of an execution."""

    id: str
    node_id: str
    type: str
    status: Literal[
        "idle",
        "initialized",
        "executing",
        "waiting",
        "completed",
        "skipped",
        "error",
        "cancelled",
    ]
    attempt: int
    started_at: Time | None
    completed_at: Time | None
    execution_time_ms: int | None
    retry_at: Time | None
    worker_id: str | None
    inputs: dict[str, Any] | None
    outputs: dict[str, Any] | None
    error: NodeFailure | None


class NodePage(Page[Node]):
    """One page of nodes."""


class Event(Shape):
    """Something that happened; indexes run -1, 0, 1, … without a gap."""

    index: int
    type: str
    timestamp: Time
    execution_id: str
    data: dict[str, Any]


class EventPage(Shape):
    """Events in order; `end` says that nothing follows any more."""

    events: list[Event]
    next_index: int
    end: bool


class Worker(Shape):
    """A worker that is alive, and the executions that run there."""

    worker_id: str
    hostname: str
    pid: int
    pool: str
    concurrency: int
    queues: list[str]
    active: list[str]
    status: Literal["running", "draining"]
    started_at: Time
    last_heartbeat_at: Time


class WorkerPage(Page[Worker]):
    """One page of workers."""


class Secret(Shape):
    """A secret: what it is called and what it is for. What it holds is never shown."""

    id: str
    name: str
    secret_type: SecretType
    owner_id: str
    created_at: Time
    updated_at: Time


class SecretPage(Page[Secret]):
    """One page of secrets."""


class Live(Shape):
    """The process lives."""

    status: Literal["ok"]


class Ready(Shape):
    """What the process depends on, and whether it can serve."""

    status: Literal["ok", "unavailable"]
    postgres: Literal["up", "down", "unused"]
    redis: Literal["up", "down", "unused"]
    schema_: Literal["current", "outdated", "unknown"] = Field(alias="schema")
