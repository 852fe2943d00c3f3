"""Nodes that hold one value and hand it on."""

from __future__ import annotations

from typing import Annotated, Any

from app.nodes.sdk import Port, node

CATEGORY = "basic-values"

_PASS = Port(direction="passthrough")


@node("TextNode", category=CATEGORY, effects=False, in_place=True, tags=("text", "value"))
def text_node(
    text: Annotated[str | None, _PASS] = "",
) -> Annotated[str | None, Port("text")]:
    """A text."""
    return text


@node(
    "MarkdownTextNode", category=CATEGORY, effects=False, in_place=True, tags=("text", "markdown")
)
def markdown_text(
    text: Annotated[str | None, _PASS] = "",
) -> Annotated[str | None, Port("text")]:
    """A text in Markdown."""
    return text


@node("NumberNode", category=CATEGORY, effects=False, in_place=True, tags=("number", "value"))
def number_node(
    num: Annotated[float | None, _PASS] = 0,
) -> Annotated[float | None, Port("num")]:
    """A number."""
    return num


@node("BooleanNode", category=CATEGORY, effects=False, in_place=True, tags=("boolean", "value"))
def boolean_node(
    flag: Annotated[bool | None, _PASS] = False,
) -> Annotated[bool | None, Port("flag")]:
    """True or false."""
    return flag


@node(
    "HTMLPreviewNode",
    category=CATEGORY,
    title="HTML Preview",
    effects=False,
    in_place=True,
    tags=("html",),
)
def html_preview(
    html: Annotated[str | None, _PASS] = "<p></p>",
) -> Annotated[str | None, Port("html")]:
    """A piece of HTML, shown in the editor."""
    return html


@node("ObjectNode", category=CATEGORY, effects=False, in_place=True, tags=("object", "value"))
def object_node(
    object: Annotated[  # noqa: A002 - the port's id
        dict[str, Any] | None, Port(direction="passthrough", mutable=True, default={})
    ],
) -> Annotated[dict[str, Any] | None, Port("object")]:
    """An object whose fields the document names."""
    return object


@node("ArrayNode", category=CATEGORY, effects=False, in_place=True, tags=("array", "value"))
def array_node(
    item_schema: Annotated[  # noqa: ARG001 - a hint to the editor, handed on as it is
        Any, Port("itemSchema", direction="passthrough")
    ],
    array: Annotated[list[Any] | None, Port(direction="passthrough", mutable=True, default=[])],
) -> Annotated[list[Any] | None, Port("array")]:
    """An array.

    Ports: `itemSchema` an example of an item, for the editor, `array` the items.
    """
    return array
