"""Nodes that write values as text."""

from __future__ import annotations

from typing import Annotated, Any

from app.nodes.sdk import Port, node
from app.values.javascript import to_json
from app.values.yaml_text import to_yaml

CATEGORY = "utilities"

#: Spaces of one level of pretty JSON.
INDENT = 2


@node(
    "JSONSerializerNode",
    category=CATEGORY,
    title="JSON Serializer",
    effects=False,
    tags=("json", "serialize", "conversion"),
)
def json_serializer(
    data: Any = None, pretty: bool | None = False
) -> Annotated[str, Port("json", default="")]:
    """Writes a value as JSON.

    Ports: `data` any value, `pretty` breaks lines and indents by two spaces, `json` the text.
    """
    return to_json(data, INDENT if pretty else 0)


@node(
    "YAMLSerializerNode",
    category=CATEGORY,
    title="YAML Serializer",
    effects=False,
    tags=("yaml", "serialize", "conversion"),
)
def yaml_serializer(
    data: Any = None,
    include_directives: Annotated[bool | None, Port("includeDirectives")] = False,
    quoting_strings: Annotated[bool | None, Port("quotingStrings")] = False,
) -> Annotated[str, Port("yaml")]:
    """Writes a value as YAML in block style.

    Ports: `data` any value, `includeDirectives` puts the YAML version before it,
    `quotingStrings` puts every text in quotes, `yaml` the text.
    """
    return to_yaml(data, quote=bool(quoting_strings), directives=bool(include_directives))
