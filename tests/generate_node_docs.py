"""Writes docs/nodes.md from the catalogue: `python -m tests.generate_node_docs`.

A test holds the document against what this module makes of the catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from app.flows.shaping import is_open
from app.nodes.registry import builtin_catalogue
from app.nodes.spec import Catalogue, NodeSpec, RetryPolicy
from app.values.ports import SYSTEM_PORTS, Missing, PortConfig, PortType, Value

DOCUMENT = Path(__file__).parents[1] / "docs" / "nodes.md"

#: More options than these are not listed; some lists come from the machine's time zones.
MAX_OPTIONS = 12

_HEAD = """\
# The node types

Written by `python -m tests.generate_node_docs` from the catalogue: change a node's docstring or
signature, not this page. `GET /api/v1/nodes` ([api.md](api.md#nodes)) says the same as JSON, with
the node types that an operator added (`NODE_MODULES`). How a node is written is in
[README.md](../README.md#a-node-of-your-own).

**How to read a table.** A *passthrough* is input and output at once. No default means that the
port is absent until something fills it. Null is refused in a *required* port. A document may say
more of a port whose type is marked ~ ([flows.md](flows.md#ports)). *Effects* means that the node's
checkpoint is a commit of its own; a *pure* node promises the same outputs for the same inputs and
nothing else touched.

Every node also has these system ports:
"""


def node_docs(catalogue: Catalogue) -> str:
    """Write the document: types by category, in the catalogue's order."""
    categories: dict[str, list[NodeSpec]] = {}
    for spec in catalogue.values():
        categories.setdefault(spec.category, []).append(spec)
    parts = [_HEAD, _table(SYSTEM_PORTS), _contents(categories)]
    for category, specs in categories.items():
        parts.append(f"## {category}\n")
        parts.extend("\n".join(_type(spec)) for spec in specs)
    return "\n".join(parts)


def _contents(categories: Mapping[str, list[NodeSpec]]) -> str:
    rows = [
        f"| [{category}](#{category}) | {', '.join(_link(spec.type) for spec in specs)} |"
        for category, specs in categories.items()
    ]
    return "\n".join(["| category | types |", "|---|---|", *rows, ""])


def _link(node_type: str) -> str:
    return f"[{node_type}](#{node_type.lower()})"


def _type(spec: NodeSpec) -> Iterator[str]:
    yield f"### {spec.type}\n"
    yield f"{spec.description}\n"
    yield f"{' '.join(_properties(spec))}\n"
    yield _table(spec.ports)


def _properties(spec: NodeSpec) -> Iterator[str]:
    yield f"“{spec.title}”."
    yield "Effects." if spec.effects else "Pure."
    if spec.deprecated:
        yield "Deprecated: a save warns of it."
    if spec.retry != RetryPolicy():
        yield f"Up to {spec.retry.max_attempts} attempts."
    if spec.timeout_ms is not None:
        yield f"At most {spec.timeout_ms} ms."
    if spec.extra_ports:
        yield "A document may add ports."


def _table(ports: Mapping[str, PortConfig]) -> str:
    rows = [
        _row(
            f"`{name}`",
            config.direction,
            _typed(config),
            _default(config),
            "yes" if config.required else "",
            config.description,
        )
        for name, config in ports.items()
    ]
    head = _row("port", "direction", "type", "default", "required", "what it is")
    return "\n".join([head, "|---|---|---|---|---|---|", *rows, ""])


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(config: PortConfig) -> str:
    return "" if isinstance(config.default, Missing) else _code(config.default)


def _code(value: Value) -> str:
    text = json.dumps(value, ensure_ascii=False)
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def _typed(config: PortConfig) -> str:
    mark = "~" if is_open(config) else ""
    return ", ".join([_named(config) + mark, *_bounds(config)])


def _named(config: PortConfig) -> str:
    match config.type:
        case PortType.ENUM if 0 < len(config.options) <= MAX_OPTIONS:
            return f"enum of {', '.join(map(_code, config.options))}"
        case PortType.ENUM if config.options:
            return "enum of many, see `GET /api/v1/nodes/{type}`"
        case PortType.ARRAY | PortType.STREAM:
            return f"{config.type} of {_named(config.item or PortConfig(PortType.ANY))}"
        case PortType.OBJECT if config.properties:
            parts = [f"`{name}`: {_typed(part)}" for name, part in config.properties.items()]
            return f"object {{{'; '.join(parts)}}}"
        case PortType.ANY if config.underlying is not None:
            return f"any ({_named(config.underlying)})"
        case _:
            return str(config.type)


def _bounds(config: PortConfig) -> Iterator[str]:
    if config.integer:
        yield "whole"
    if config.minimum is not None:
        yield f"at least {config.minimum}"
    if config.maximum is not None:
        yield f"at most {config.maximum}"
    if config.step is not None:
        yield f"in steps of {config.step}"
    if config.min_length is not None:
        yield f"length at least {config.min_length}"
    if config.max_length is not None:
        yield f"length at most {config.max_length}"
    if config.pattern is not None:
        yield f"like `{config.pattern}`"


if __name__ == "__main__":
    DOCUMENT.write_text(node_docs(builtin_catalogue()))
