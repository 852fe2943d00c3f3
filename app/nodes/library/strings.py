"""Nodes that turn texts into other types."""

from __future__ import annotations

from typing import Annotated

from app.errors import NodeError
from app.nodes.sdk import Port, node


@node(
    "StringToEnumNode",
    category="utilities",
    title="String to Enum",
    effects=False,
    tags=("text", "enum", "convert"),
)
def string_to_enum(
    input_string: Annotated[str | None, Port("inputString", required=False)] = "",
    allowed_values: Annotated[
        list[str] | None, Port("allowedValues", mutable=True, required=False)
    ] = None,
) -> Annotated[str | None, Port("outputEnum", type="enum", required=False)]:
    """Lets a text through as the value of an enum, if it is an allowed one.

    Ports: `inputString` the text, `allowedValues` what it may be (nothing: anything),
    `outputEnum` the text, null for an empty one.
    """
    if not input_string:
        return None
    if allowed_values and input_string not in allowed_values:
        allowed = ", ".join(allowed_values[:20])
        raise NodeError(f"'{input_string}' is none of the allowed values: {allowed}")
    return input_string
