"""Nodes that turn texts into other types."""

from __future__ import annotations

from typing import Annotated

from app.errors import NodeError
from app.nodes.sdk import Port, node

#: So many of the allowed values stand in an error message.
MAX_SHOWN = 10


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
        shown = _shown(allowed_values)
        raise NodeError(f'Invalid value: "{input_string}". Allowed values are: {shown}')
    return input_string


def _shown(values: list[str]) -> str:
    listed = ", ".join(values[:MAX_SHOWN])
    return listed if len(values) <= MAX_SHOWN else f"{listed}... ({len(values)} total)"
