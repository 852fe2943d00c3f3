"""`chaingraph run`: stores a flow, runs it, waits for its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from app.cli.arguments import FlowPath
from app.cli.connection import connect
from app.cli.event_lines import printable
from app.cli.flow_file import FlowFile
from app.cli.following import (
    SETTLING,
    print_events_as_json,
    print_events_with_bar,
    show_progress,
)
from app.cli.inputs import GivenInputs, InputError, Inputs, read_events, read_inputs
from app.cli.local_server import local_server
from app.cli.output import AsJson, print_json, say
from app.cli.statuses import FAILED, INTERRUPTED, USAGE
from app.cli.storing import VALIDATION_ERROR, read_or_exit, store_or_exit
from app.cli.words import assigned, counts, why
from app.client import ApiProblem, Client, Execution, Flow

Given = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NODE.PORT=VALUE",
        help="A value for this run alone: JSON if it parses and the port takes that, else text. May be repeated.",
        show_default=False,
    ),
]
Events = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        metavar="NAME[={...}]",
        help="An event that drives the run; each further one becomes a child. May be repeated.",
        show_default=False,
    ),
]
Follow = Annotated[bool, typer.Option("--follow", help="Print events as they happen.")]
Local = Annotated[
    bool, typer.Option("--local", help="In a process of its own, without any server.")
]


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for: a flow, inputs, and how to show the run."""

    file: FlowFile
    inputs: GivenInputs
    events: list[dict[str, Any]]
    follow: bool
    local: bool
    as_json: bool


def run(
    path: FlowPath,
    *,
    inputs: Given = None,
    events: Events = None,
    follow: Follow = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Run a flow and wait for its end.

    A flow with an id is stored under it, as a new version if it has changed. Ends with 0 if
    the execution completed, 1 if it failed or was stopped, 2 if there is something to mend in
    what was given, 3 if no server is there.
    """
    try:
        file = read_or_exit(path)
        given = read_inputs(inputs or [], file.document), read_events(events or [])
    except InputError as error:
        say(error.message)
        raise typer.Exit(USAGE) from error
    job = Job(file, *given, follow=follow, local=local, as_json=as_json)
    if local:
        with local_server() as url:
            _run(job, Client(url))
        return
    _run(job, connect())


def _run(job: Job, caller: Client) -> None:
    with caller as client:
        flow = store_or_exit(client, job.file).flow
        execution = _create(client, flow, job)
        # At once: whoever loses sight of the run finds it by that.
        say(f"{execution.id} runs {flow.id} version {flow.version}")
        try:
            execution = _see_through(client, job, flow, execution)
        except KeyboardInterrupt:
            if not job.local:
                _tell_where_it_goes_on(execution)
            raise typer.Exit(INTERRUPTED) from None
    _print_end(job, execution)
    if execution.status != "completed":
        raise typer.Exit(FAILED)


def _create(client: Client, flow: Flow, job: Job) -> Execution:
    def create(inputs: Inputs | None) -> Execution:
        return client.executions.create(
            flow.id,
            flow_version=flow.version,
            inputs=inputs,
            events=job.events or None,
            autostart=True,
        )

    try:
        return job.inputs.create(create)
    except ApiProblem as problem:
        if problem.code != VALIDATION_ERROR:
            raise
        for fault in problem.errors:
            say(f"{_input_name(fault.pointer)}: {fault.message}")
        raise typer.Exit(USAGE) from problem


def _see_through(client: Client, job: Job, flow: Flow, execution: Execution) -> Execution:
    total, name = execution.progress.total, printable(flow.name)
    if job.follow:
        with client.executions.events(execution.id) as events:
            if job.as_json:
                print_events_as_json(events)
            else:
                print_events_with_bar(events, total, name)
    elif sys.stderr.isatty():
        with client.executions.events(execution.id, types=SETTLING) as events:
            show_progress(events, total, name)
    return client.executions.wait(execution.id)


def _print_end(job: Job, execution: Execution) -> None:
    if job.as_json:
        print_json(dict(execution.raw))
        return
    for name, value in _named_outputs(job.file, execution):
        typer.echo(assigned(name, value))
    reason = why(execution)
    said = f"{execution.id} {execution.status}{f': {reason}' if reason else ''}"
    say(f"{said}; nodes: {counts(execution)}")


def _named_outputs(file: FlowFile, execution: Execution) -> Iterator[tuple[str, Any]]:
    """Outputs by the names that the flow gives them, else by node and port."""
    outputs = execution.outputs or {}
    if file.names_outputs:
        yield from outputs.items()
        return
    for node, ports in outputs.items():
        for port, value in ports.items():
            yield f"{node}.{port}", value


def _input_name(pointer: str) -> str:
    """What `/inputs/node/port` was called on the command line."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    return f"--input {'.'.join(steps[1:])}" if steps[:1] == ["inputs"] else pointer or "/"


def _tell_where_it_goes_on(execution: Execution) -> None:
    follow = f"chaingraph executions events {execution.id} --follow"
    say(f"{execution.id} goes on without you: {follow}")
