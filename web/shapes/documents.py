"""Flows as they are written: the bodies in which they come, and what a check finds."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.flows.document import MAX_NAME
from web.schemas import MAX_ID_LENGTH
from web.shapes.forms import Shape
from web.shapes.problems import Fault

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


class Validation(Shape):
    """What a check of a document found."""

    valid: bool
    errors: list[Fault]
    warnings: list[Fault]
