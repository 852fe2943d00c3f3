"""The node that reads JSON and YAML into values of a schema."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from app.errors import NodeError
from app.nodes.sdk import NodeContext, Port, node
from app.values.conforming import Misfit, conform
from app.values.documents import DocumentError, read_document
from app.values.inference import infer_config
from app.values.ports import PortConfig, PortType, Value

InputFormat = Literal["auto", "json", "yaml"]


@node(
    "JsonYamlDeserializerNode",
    category="utilities",
    title="JSON/YAML Deserializer",
    effects=False,
    tags=("json", "yaml", "parse"),
)
def json_yaml_deserializer(
    ctx: NodeContext,
    output_schema: Annotated[
        Any, Port("outputSchema", direction="passthrough", mutable=True)
    ] = None,
    input_string: Annotated[str | None, Port("inputString", direction="passthrough")] = "",
    input_format: Annotated[
        InputFormat | None, Port("inputFormat", direction="passthrough")
    ] = "auto",
    ignore_missing_fields: Annotated[
        bool | None, Port("ignoreMissingFields", direction="passthrough")
    ] = False,
    max_depth: Annotated[float | None, Port("maxDepth", direction="passthrough")] = 0,
) -> Annotated[Any, Port("deserializedObject", mutable=True)]:
    """Reads a text as JSON or YAML and cuts it to a schema.

    Fields that the schema doesn't have are dropped; a wrong type is an error.

    Ports: `outputSchema` the schema: that of the connected port, or an example of what is wanted
    (nothing: no cut), `inputString` the text ('' gives null), `inputFormat` how to read it
    ("auto": as JSON, else as YAML), `ignoreMissingFields` leaves out fields that the text lacks
    instead of failing, `maxDepth` the levels that the text may have (0: as many as it likes),
    `deserializedObject` the value.
    """
    try:
        value = read_document(input_string or "", input_format or "auto")
    except DocumentError as error:
        raise NodeError(f"inputString can't be read: {error}") from error
    if max_depth and _depth(value) > max_depth:
        raise NodeError(f"inputString has more than {max_depth:g} levels")
    try:
        schema = _schema(ctx.schema("outputSchema"), output_schema)
        return conform(schema, value, ignore_missing=bool(ignore_missing_fields))
    except Misfit as error:
        raise NodeError(f"inputString doesn't fit the schema: {error}") from error


def _schema(declared: PortConfig, example: Value) -> PortConfig:
    if declared.underlying is not None:
        return declared
    if declared.properties:
        return replace(declared, type=PortType.OBJECT)
    if declared.item is not None:
        return replace(declared, type=PortType.ARRAY)
    if isinstance(example, dict | list) and example:
        return infer_config(example)
    return declared


def _depth(value: Value) -> int:
    """Levels of objects and arrays inside each other."""
    deepest = 0
    pending = [(value, 0)]
    while pending:
        part, depth = pending.pop()
        if isinstance(part, dict | list):
            deepest = max(deepest, depth + 1)
            parts = part.values() if isinstance(part, dict) else part
            pending.extend((inner, depth + 1) for inner in parts)
    return deepest
