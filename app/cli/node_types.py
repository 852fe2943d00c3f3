"""`chaingraph nodes`: which types of nodes the server knows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from app.cli import completion
from app.cli.arguments import text
from app.cli.connection import connect
from app.cli.output import AsJson, print_raw, print_raw_list
from app.cli.tables import Cell, print_facts, print_table
from app.client import NodeType
from app.client.shapes import Json

HEADINGS = ("TYPE", "CATEGORY", "EFFECTS", "DESCRIPTION")
PORT_HEADINGS = ("PORT", "DIRECTION", "TYPE", "DEFAULT", "BOUNDS")

TypeName = Annotated[
    str | None,
    typer.Argument(
        metavar="[TYPE]",
        callback=text,
        help="Only this, with its ports.",
        autocompletion=completion.node_types,
    ),
]


def nodes(node_type: TypeName = None, *, as_json: AsJson = False) -> None:
    """List the types of nodes, or show one with its ports."""
    if node_type:
        _show(node_type, as_json=as_json)
        return
    with connect() as client:
        shown = list(client.node_types.list())
    if as_json:
        print_raw_list(shown)
    else:
        print_table(HEADINGS, map(_row, shown))


def _show(name: str, *, as_json: bool) -> None:
    with connect() as client:
        found = client.node_types.get(name)
    if as_json:
        print_raw(found)
        return
    print_facts(
        [
            ("type", found.type),
            ("title", found.title),
            ("category", found.category),
            ("effects", _yes(found.effects)),
            ("deprecated", "yes" if found.deprecated else ""),
        ]
    )
    typer.echo(f"\n{found.description}\n")
    print_table(PORT_HEADINGS, map(port_row, found.ports))


def _row(found: NodeType) -> Sequence[Cell]:
    summary = found.description.partition("\n")[0]
    deprecated = "deprecated: " if found.deprecated else ""
    return found.type, found.category, _yes(found.effects), f"{deprecated}{summary}"


def port_row(port: Json) -> Sequence[Cell]:
    """A port: what it is called, which way it goes, what it takes."""
    known = {"id", "direction", "type", "required", "defaultValue", "title", "description"}
    bounds = {name: value for name, value in port.items() if name not in known}
    said = [f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in bounds.items()]
    default = json.dumps(port["defaultValue"], ensure_ascii=False) if "defaultValue" in port else ""
    required = ["required"] if port["required"] else []
    return (port["id"], port["direction"], port["type"], default, ", ".join([*required, *said]))


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
