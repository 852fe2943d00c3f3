"""`chaingraph executions start`, `pause`, `resume`, `step`, `stop`, `fork`, `recover`, `signal`, `bulk`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from app.cli import completion
from app.cli.arguments import ExecutionId, Reason, Status, part, text
from app.cli.connection import connect
from app.cli.event_lines import printable
from app.cli.flow_file import read_value
from app.cli.inputs import GivenInputs, InputError, Inputs, read_inputs
from app.cli.output import AsJson, print_json, print_raw
from app.cli.words import why
from app.client import Client, Execution

Command = Callable[[Client], Execution]

FromNode = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="NODE", callback=text, help="Run this anew.", show_default=False
    ),
]
NewVersion = Annotated[
    int | None, typer.Option("--version", min=1, help="Of the flow.", show_default=False)
]
NewInputs = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="NODE.PORT=VALUE", callback=text, help="May be repeated."),
]
StartFork = Annotated[bool, typer.Option("--start", help="Start it at once.")]
Action = Annotated[
    Literal["start", "pause", "resume", "stop"],
    typer.Argument(metavar="ACTION", show_default=False),
]
SignalName = Annotated[
    str, typer.Argument(metavar="NAME", callback=part, help="Its name.", show_default=False)
]
Data = Annotated[
    str, typer.Option("--data", metavar="JSON", callback=text, help="What is sent with it.")
]
ByStatus = Annotated[
    list[Status] | None, typer.Option("--status", help="Those in this status. May be repeated.")
]
ByFlow = Annotated[
    str | None,
    typer.Option("--flow", help="Those of this flow.", autocompletion=completion.flows),
]
ById = Annotated[
    list[str] | None,
    typer.Option(
        "--id",
        help="This execution. May be repeated, to 1,000.",
        autocompletion=completion.executions,
    ),
]


def start(execution_id: ExecutionId, *, as_json: AsJson = False) -> None:
    """Start an execution that was created without being started."""
    _carry_out(lambda client: client.executions.start(execution_id), as_json=as_json)


def pause(execution_id: ExecutionId, *, reason: Reason = None, as_json: AsJson = False) -> None:
    """Pause an execution at its next node boundary."""
    _carry_out(lambda client: client.executions.pause(execution_id, reason), as_json=as_json)


def resume(execution_id: ExecutionId, *, reason: Reason = None, as_json: AsJson = False) -> None:
    """Have a paused execution go on."""
    _carry_out(lambda client: client.executions.resume(execution_id, reason), as_json=as_json)


def step(execution_id: ExecutionId, *, reason: Reason = None, as_json: AsJson = False) -> None:
    """Have a paused execution run one node, then pause again."""
    _carry_out(lambda client: client.executions.step(execution_id, reason), as_json=as_json)


def stop(execution_id: ExecutionId, *, reason: Reason = None, as_json: AsJson = False) -> None:
    """Stop an execution and all that descend from it, for good."""
    _carry_out(lambda client: client.executions.stop(execution_id, reason), as_json=as_json)


def fork(
    execution_id: ExecutionId,
    *,
    from_node: FromNode = None,
    version: NewVersion = None,
    inputs: NewInputs = None,
    start: StartFork = False,
    as_json: AsJson = False,
) -> None:
    """Make an execution that takes over what another one has come to.

    Without --from that is every completed node; with it, all that doesn't depend on that node.
    """

    def command(client: Client) -> Execution:
        def create(values: Inputs | None) -> Execution:
            return client.executions.fork(
                execution_id,
                from_node_id=from_node,
                flow_version=version,
                inputs=values,
                autostart=start,
            )

        if not inputs:
            return create(None)
        return _read_inputs(client, execution_id, version, inputs).create(create)

    _carry_out(command, as_json=as_json)


def _read_inputs(
    client: Client, execution_id: str, version: int | None, given: list[str]
) -> GivenInputs:
    execution = client.executions.get(execution_id)
    flow = client.flows.get(execution.flow_id, version=version or execution.flow_version)
    try:
        return read_inputs(given, dict(flow.document or {}))
    except InputError as error:
        told = error.message.removeprefix("--input ")
        raise typer.BadParameter(told, param_hint="--input") from error


def recover(execution_id: ExecutionId, *, as_json: AsJson = False) -> None:
    """Take an execution from a worker that hangs; another goes on from the last checkpoint."""
    _carry_out(lambda client: client.executions.recover(execution_id), as_json=as_json)


def signal(
    execution_id: ExecutionId, name: SignalName, *, data: Data = "{}", as_json: AsJson = False
) -> None:
    """Send a signal to an execution: to the first node that waits for its name."""
    try:
        payload = read_value(data)
    except ValueError as error:
        raise typer.BadParameter("is not JSON", param_hint="--data") from error
    with connect() as client:
        delivered = client.executions.signal(execution_id, name, payload)
    if as_json:
        print_json({"delivered": delivered})
    else:
        typer.echo("kept: no node waits for it" if delivered is None else printable(delivered))


def bulk(
    action: Action,
    *,
    status: ByStatus = None,
    flow: ByFlow = None,
    ids: ById = None,
    as_json: AsJson = False,
) -> None:
    """Command all executions that pass a filter: those in a status, of a flow, by id."""
    if not (status or flow or ids):
        raise typer.BadParameter("give at least one of --status, --flow and --id")
    with connect() as client:
        taken = client.executions.bulk(action, status=status or None, flow_id=flow, ids=ids or None)
    if as_json:
        print_json(asdict(taken))
    else:
        typer.echo(f"{taken.matched} matched, {taken.accepted} accepted")


def _carry_out(command: Command, *, as_json: bool) -> None:
    with connect() as client:
        execution = command(client)
    _show(execution, as_json=as_json)


def _show(execution: Execution, *, as_json: bool) -> None:
    if as_json:
        print_raw(execution)
        return
    reason = why(execution)
    said = f"{execution.id} {execution.status}{f': {reason}' if reason else ''}"
    typer.echo(printable(said))
