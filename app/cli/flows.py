"""`chaingraph flows`: list, show, push and validate flows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from app.cli.arguments import FlowId, FlowPath, Limit, first
from app.cli.connection import connect
from app.cli.event_lines import printable
from app.cli.output import AsJson, print_json, print_raw, print_raw_list
from app.cli.statuses import USAGE
from app.cli.storing import read_or_exit, say_faults, say_warnings, store_or_exit
from app.cli.tables import print_facts, print_table
from app.cli.words import moment
from app.client import Flow

flows = typer.Typer(no_args_is_help=True, help="Store flows, and look at them.")

HEADINGS = ("ID", "VERSION", "UPDATED", "NAME")

Version = Annotated[int | None, typer.Option(min=1, help="An older one.", show_default=False)]
Document = Annotated[
    bool, typer.Option("--document", help="The document alone, as it was stored: for a file.")
]


@flows.command("list")
def list_flows(*, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List flows, newest first."""
    with connect() as client:
        shown = list(first(client.flows.list(), limit))
    if as_json:
        print_raw_list(shown)
        return
    rows = ((flow.id, str(flow.version), moment(flow.updated_at), flow.name) for flow in shown)
    print_table(HEADINGS, rows)


@flows.command()
def push(path: FlowPath, *, as_json: AsJson = False) -> None:
    """Store a flow; one with an id as its next version, if it has changed.

    Ends with 2 where the flow is refused: each fault is shown on its line.
    """
    file = read_or_exit(path)
    with connect() as client:
        stored = store_or_exit(client, file)
    flow = stored.flow
    if as_json:
        print_raw(flow)
        return
    unchanged = "" if stored.is_new else " already"
    typer.echo(printable(f"{flow.id} is at version {flow.version}{unchanged}: {flow.name}"))


@flows.command()
def show(
    flow_id: FlowId, *, version: Version = None, document: Document = False, as_json: AsJson = False
) -> None:
    """Show a flow: its newest version, or an older one."""
    with connect() as client:
        flow = client.flows.get(flow_id, version)
    if document:
        print_json(flow.document)
    elif as_json:
        print_raw(flow)
    else:
        _print_flow(flow)


@flows.command()
def validate(path: FlowPath, *, as_json: AsJson = False) -> None:
    """Check a flow without storing it.

    Ends with 2 where it has faults: each is shown on its line.
    """
    file = read_or_exit(path)
    with connect() as client:
        found = client.flows.validate(file.document)
    if as_json:
        print_json({"valid": found.is_valid, **asdict(found)})
    else:
        say_faults(file, found.errors)
        say_warnings(file, found.warnings)
        typer.echo(f"{path} is {'valid' if found.is_valid else 'not valid'}")
    if not found.is_valid:
        raise typer.Exit(USAGE)


def _print_flow(flow: Flow) -> None:
    document = flow.document or {}
    nodes: list[dict[str, Any]] = document.get("nodes", [])
    print_facts(
        [
            ("id", flow.id),
            ("name", flow.name),
            ("version", str(flow.version)),
            ("created", moment(flow.created_at)),
            ("updated", moment(flow.updated_at)),
            ("edges", str(len(document.get("edges", [])))),
        ]
    )
    typer.echo()
    rows = [(str(node.get("id", "")), str(node.get("type", ""))) for node in nodes]
    print_table(("NODE", "TYPE"), rows)
