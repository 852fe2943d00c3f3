"""Nodes that say what shape values have."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from app.errors import NodeError
from app.nodes.sdk import NodeContext, Port, node
from app.values.codec import port_to_json
from app.values.documents import DocumentError, read_document
from app.values.inference import infer_config
from app.values.ports import PortConfig, PortType

CATEGORY = "utilities"


class InferOptions(TypedDict, total=False):
    """How an editor is to infer the schema; a run only reads the text."""

    allRequired: Annotated[bool, Port(default=True)]
    inferArrayItemType: Annotated[bool, Port(default=True)]
    maxDepth: Annotated[float, Port(default=10, min=1, max=50)]


_DEFAULT_OPTIONS = {"allRequired": True, "inferArrayItemType": True, "maxDepth": 10}


class PortSchema(TypedDict):
    """A port's type, and its config as documents write it."""

    type: str
    config: dict[str, Any]


@node("SchemaInferNode", category=CATEGORY, effects=False, tags=("json", "yaml", "schema"))
def schema_infer(
    input: Annotated[str | None, Port(direction="passthrough")] = "",  # noqa: A002 - the port's id
    options: Annotated[  # noqa: ARG001 - for the editor, handed on as they are
        InferOptions | None, Port(direction="passthrough", default=_DEFAULT_OPTIONS)
    ] = None,
) -> Annotated[Any, Port("output")]:
    """Reads a text as JSON, or else as YAML.

    Ports: `input` the text, `options` how an editor infers the schema of the output, `output`
    what the text holds, null for an empty one.
    """
    try:
        return read_document(input or "")
    except DocumentError as error:
        raise NodeError(f"input is neither JSON nor YAML: {error}") from error


@node("GetPortSchemaNode", category=CATEGORY, effects=False, tags=("schema", "port"))
def get_port_schema(
    ctx: NodeContext,
    input: Any = None,  # noqa: A002 - the port's id
) -> Annotated[PortSchema, Port("portSchema")]:
    """Tells the schema of the port that is connected.

    Ports: `input` any port, `portSchema` its type, and its config as a document writes it; where
    the document declares none, those that the value has.
    """
    declared = ctx.schema("input")
    config = declared.underlying or declared
    if config.type is PortType.ANY and input is not None:
        config = infer_config(input)
    return _written(config)


def _written(config: PortConfig) -> PortSchema:
    return {"type": str(config.type), "config": port_to_json(config)}
