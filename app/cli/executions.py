"""`chaingraph executions`: the group, and the commands that look."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli import completion
from app.cli.arguments import ExecutionId, Limit, Status, first, text
from app.cli.connection import connect
from app.cli.execution_commands import (
    bulk,
    fork,
    pause,
    recover,
    resume,
    signal,
    start,
    step,
    stop,
)
from app.cli.execution_events import events
from app.cli.execution_views import (
    EXECUTION_HEADINGS,
    NODE_HEADINGS,
    RECOVERY_HEADINGS,
    execution_facts,
    execution_row,
    member_rows,
    node_facts,
    node_row,
    recovery_row,
)
from app.cli.output import AsJson, print_raw, print_raw_list
from app.cli.tables import print_facts, print_table
from app.cli.words import assigned

executions = typer.Typer(no_args_is_help=True, help="Look at executions, and command them.")

ByStatus = Annotated[
    Status | None, typer.Option("--status", help="Those in this status.", show_default=False)
]
ByFlow = Annotated[
    str | None,
    typer.Option(
        "--flow", callback=text, help="Those of this flow.", autocompletion=completion.flows
    ),
]
ByRoot = Annotated[
    str | None,
    typer.Option(
        "--root",
        callback=text,
        help="This execution and all that descend from it.",
        autocompletion=completion.executions,
    ),
]
NodeId = Annotated[
    str | None, typer.Argument(metavar="[NODE]", callback=text, help="Only this, in full.")
]


@executions.command("list")
def list_executions(
    *,
    status: ByStatus = None,
    flow: ByFlow = None,
    root: ByRoot = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List executions, newest first."""
    with connect() as client:
        found = client.executions.list(status=status, flow_id=flow, root_execution_id=root)
        shown = list(first(found, limit))
    if as_json:
        print_raw_list(shown)
    else:
        print_table(EXECUTION_HEADINGS, map(execution_row, shown))


@executions.command()
def show(execution_id: ExecutionId, *, as_json: AsJson = False) -> None:
    """Show one execution: how far it is, what it waits for, what came out."""
    with connect() as client:
        execution = client.executions.get(execution_id)
    if as_json:
        print_raw(execution)
        return
    print_facts(execution_facts(execution))
    for name, value in (execution.outputs or {}).items():
        typer.echo(assigned(name, value))


@executions.command()
def nodes(execution_id: ExecutionId, node_id: NodeId = None, *, as_json: AsJson = False) -> None:
    """List an execution's nodes in document order, or show one with its values."""
    if node_id is not None:
        _show_node(execution_id, node_id, as_json=as_json)
        return
    with connect() as client:
        shown = list(client.executions.nodes(execution_id))
    if as_json:
        print_raw_list(shown)
    else:
        print_table(NODE_HEADINGS, map(node_row, shown))


def _show_node(execution_id: str, node_id: str, *, as_json: bool) -> None:
    with connect() as client:
        node = client.executions.node(execution_id, node_id)
    if as_json:
        print_raw(node)
        return
    print_facts(node_facts(node))
    for direction, values in (("input", node.inputs), ("output", node.outputs)):
        for name, value in (values or {}).items():
            typer.echo(assigned(f"{direction} {name}", value))


@executions.command()
def tree(execution_id: ExecutionId, *, as_json: AsJson = False) -> None:
    """List an execution and all that descend from it."""
    with connect() as client:
        shown = list(client.executions.tree(execution_id))
    if as_json:
        print_raw_list(shown)
    else:
        print_table(EXECUTION_HEADINGS, member_rows(shown))


@executions.command()
def recoveries(execution_id: ExecutionId, *, as_json: AsJson = False) -> None:
    """List the times that an execution was taken from a lost worker, oldest first."""
    with connect() as client:
        shown = list(client.executions.recoveries(execution_id))
    if as_json:
        print_raw_list(shown)
    else:
        print_table(RECOVERY_HEADINGS, map(recovery_row, shown))


for each in (start, pause, resume, step, stop, fork, recover, signal, bulk, events):
    executions.command()(each)
