"""`chaingraph executions events`: what happened so far, or from now on to the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from app.cli.arguments import ExecutionId, text
from app.cli.connection import connect
from app.cli.event_lines import printable
from app.cli.following import Passed, print_events, print_events_as_json, print_events_with_bar
from app.cli.output import AsJson, say
from app.cli.statuses import FAILED, INTERRUPTED
from app.client import Client

Follow = Annotated[
    bool, typer.Option("--follow", help="To the execution's end, as they happen; 1 if it fails.")
]
From = Annotated[int, typer.Option("--from", min=-1, help="The first index wanted.")]
Types = Annotated[
    str | None,
    typer.Option(metavar="TYPE,…", callback=text, help="Only these, such as node:failed."),
]


def events(
    execution_id: ExecutionId,
    *,
    follow: Follow = False,
    from_index: From = -1,
    types: Types = None,
    as_json: AsJson = False,
) -> None:
    """Print an execution's events; with --json each as a line of JSON."""
    names = None if types is None else types.split(",")
    with connect() as client:
        if follow:
            _follow(client, execution_id, from_index, names, as_json=as_json)
            return
        found = client.executions.recorded_events(execution_id, from_index, types=names)
        (print_events_as_json if as_json else print_events)(found)


def _follow(
    client: Client,
    execution_id: str,
    from_index: int,
    types: Sequence[str] | None,
    *,
    as_json: bool,
) -> None:
    execution = client.executions.get(execution_id)
    with client.executions.events(execution_id, from_index, types=types) as stream:
        passed = Passed(stream, from_index)
        try:
            if as_json:
                print_events_as_json(passed)
            elif from_index > -1 or types is not None:
                # How far it is can be told from all the events only.
                print_events(passed)
            else:
                print_events_with_bar(
                    passed, execution.progress.total, printable(execution.flow_id)
                )
        except KeyboardInterrupt:
            _tell_where_to_go_on(execution_id, passed.next_index, types)
            raise typer.Exit(INTERRUPTED) from None
    if stream.status != "completed":
        raise typer.Exit(FAILED)


def _tell_where_to_go_on(execution_id: str, index: int, types: Sequence[str] | None) -> None:
    chosen = f" --types {','.join(types)}" if types else ""
    say(f"to go on: chaingraph executions events {execution_id} --follow --from {index}{chosen}")
