"""Nodes that fill a template. None of them evaluates code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from app.errors import NodeError
from app.nodes.handlebars import TemplateError, render
from app.nodes.sdk import NodeContext, Port, node
from app.values.javascript import to_json
from app.values.ports import Value

CATEGORY = "utilities"

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

_VARIABLES = Port(mutable=True, default={})


@node(
    "HandlebarsTemplateNode",
    category=CATEGORY,
    title="Handlebars Template",
    effects=False,
    tags=("template", "handlebars", "text"),
)
def handlebars_template(
    ctx: NodeContext,
    variables: Annotated[dict[str, Any] | None, _VARIABLES],
    template: str | None = "Hello {{name}}",
) -> Annotated[str, Port("renderedText", default="")]:
    """Fills a Handlebars template, without escaping HTML.

    Ports: `template` the text, which may call json, yaml, yml, uppercase and lowercase beside what
    Handlebars has, `variables` what it may name (a missing one is empty), `renderedText` the text.
    """
    try:
        return render(template or "", variables or {}, ctx.check)
    except TemplateError as error:
        raise NodeError(f"the template can't be rendered: {error}") from error


@node(
    "LangchainTemplateNode",
    category=CATEGORY,
    title="Langchain Template",
    effects=False,
    tags=("template", "langchain", "prompt", "text"),
)
def langchain_template(
    variables: Annotated[dict[str, Any] | None, _VARIABLES],
    template: str | None = "Tell me a joke about {topic}",
) -> Annotated[str, Port("renderedText", default="")]:
    """Replaces each {name} by the variable of that name.

    Ports: `variables` every name of the template must be one of them, `template` the text
    ({{ and }} stand for braces), `renderedText` the text with the variables in it.
    """
    given = variables or {}
    return _BRACES.sub(lambda match: _brace(match, given), template or "")


def _brace(match: re.Match[str], variables: Mapping[str, Value]) -> str:
    if match[0] in {"{{", "}}"}:
        return match[0][0]
    if match[1] is None:
        raise NodeError(f"the template has a single '{match[0]}' at character {match.start() + 1}")
    name = match[1].strip()
    if name not in variables:
        raise NodeError(f"the template names a variable '{name}' that is not set")
    value = variables[name]
    return value if isinstance(value, str) else to_json(value)
