"""`chaingraph run`: stores a flow, runs it, waits for its end."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.event_lines import printable
from app.cli.flow_file import FlowFile, FlowFileError, read_flow_file
from app.cli.following import print_events, print_events_as_json
from app.cli.inputs import InputError, Inputs, read_inputs
from app.cli.local_server import local_server
from app.cli.output import AsJson, print_json
from app.client import ApiProblem, Client, Execution, Flow
from app.config import load_settings

FAILED = 1
USAGE = 2
#: As a shell has it: 128 and the number of SIGINT.
INTERRUPTED = 130

NOT_FOUND = 404
VALIDATION_ERROR = "VALIDATION_ERROR"

FlowPath = Annotated[
    Path, typer.Argument(metavar="FLOW.json", help="A flow document.", show_default=False)
]
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NODE.PORT=VALUE",
        help="A value for this run alone: JSON if it parses, else text. May be repeated.",
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
    inputs: Inputs
    follow: bool
    local: bool
    as_json: bool


def run(
    path: FlowPath,
    *,
    inputs: Given = None,
    follow: Follow = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Run a flow and wait for its end.

    A flow with an id is stored under it, as a new version if it has changed. Ends with 0 if
    the execution completed, 1 if it failed or was stopped, 2 if there is something to mend in
    what was given, 3 if no server is there.
    """
    job = _read_job(path, inputs or [], follow=follow, local=local, as_json=as_json)
    if local:
        with local_server() as url:
            _run(job, Client(url))
        return
    settings = load_settings()
    _run(job, Client(settings.chaingraph_url, settings.chaingraph_token))


def _run(job: Job, caller: Client) -> None:
    with caller as client:
        flow = _store(client, job.file)
        execution = _create(client, flow, job.inputs)
        try:
            execution = _see_through(client, job, flow, execution)
        except KeyboardInterrupt:
            if not job.local:
                _tell_where_it_goes_on(client, execution)
            raise typer.Exit(INTERRUPTED) from None
    _print_end(job, execution)
    if execution.status != "completed":
        raise typer.Exit(FAILED)


def _read_job(path: Path, inputs: list[str], *, follow: bool, local: bool, as_json: bool) -> Job:
    try:
        file = read_flow_file(path)
        return Job(file, read_inputs(inputs, file.document), follow, local, as_json)
    except (FlowFileError, InputError) as error:
        _say(error.message)
        raise typer.Exit(USAGE) from error


def _store(client: Client, file: FlowFile) -> Flow:
    try:
        flow = stored_already(client, file.document) or client.flows.store(file.document)
    except ApiProblem as problem:
        if problem.code != VALIDATION_ERROR:
            raise
        for fault in problem.errors:
            _say(file.placed(fault))
        raise typer.Exit(USAGE) from problem
    for oddity in flow.warnings:
        _say(file.placed(replace(oddity, message=f"warning: {oddity.message}")))
    return flow


def stored_already(client: Client, document: dict[str, Any]) -> Flow | None:
    """The flow at its newest version, if that is this very document."""
    flow_id = document.get("id")
    if not isinstance(flow_id, str) or not flow_id:
        return None
    try:
        flow = client.flows.get(flow_id)
    except ApiProblem as problem:
        if problem.status != NOT_FOUND:
            raise
        return None
    return flow if _canonical(flow.document) == _canonical(document) else None


def _canonical(document: Any) -> str:
    """Documents are equal if these are; to Python, 1 and true would be equal, too."""
    return json.dumps(document, sort_keys=True)


def _create(client: Client, flow: Flow, inputs: Inputs) -> Execution:
    try:
        return client.executions.create(
            flow.id, flow_version=flow.version, inputs=inputs or None, autostart=True
        )
    except ApiProblem as problem:
        if problem.code != VALIDATION_ERROR:
            raise
        for fault in problem.errors:
            _say(f"{_input_name(fault.pointer)}: {fault.message}")
        raise typer.Exit(USAGE) from problem


def _see_through(client: Client, job: Job, flow: Flow, execution: Execution) -> Execution:
    if not job.follow:
        return client.executions.wait(execution.id)
    with client.executions.events(execution.id) as events:
        if job.as_json:
            print_events_as_json(events)
        else:
            print_events(events, execution.progress.total, printable(flow.name))
    return client.executions.get(execution.id)


def _print_end(job: Job, execution: Execution) -> None:
    if job.as_json:
        print_json(dict(execution.raw))
        return
    for name, value in _named_outputs(job.file, execution):
        _print_output(name, value)
    progress = execution.progress
    counts = f"{progress.completed} completed"
    counts += f", {progress.failed} failed" if progress.failed else ""
    counts += f", {progress.skipped} skipped" if progress.skipped else ""
    why = f": {execution.error_message}" if execution.error_message else ""
    at = f" (node {execution.error_node_id})" if execution.error_node_id else ""
    typer.echo(printable(f"{execution.id} {execution.status}{why}{at}; nodes: {counts}"), err=True)


def _named_outputs(file: FlowFile, execution: Execution) -> Iterator[tuple[str, Any]]:
    """Outputs by the names that the flow gives them, else by node and port."""
    outputs = execution.outputs or {}
    if file.names_outputs:
        yield from outputs.items()
        return
    for node, ports in outputs.items():
        for port, value in ports.items():
            yield f"{node}.{port}", value


def _print_output(name: str, value: Any) -> None:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    typer.echo(f"{printable(name)} = {_readable(shown)}")


def _readable(text: str) -> str:
    """Lines stay lines, indented below the first; one break at the end is none."""
    lines = text.removesuffix("\n").split("\n")
    return "\n    ".join(printable(line) for line in lines)


def _input_name(pointer: str) -> str:
    """What `/inputs/node/port` was called on the command line."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    return f"--input {'.'.join(steps[1:])}" if steps[:1] == ["inputs"] else pointer or "/"


def _tell_where_it_goes_on(client: Client, execution: Execution) -> None:
    place = f"{client.base_url}/api/v1/executions/{execution.id}"
    _say(f"{execution.id} goes on without you: look at it at {place}")


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr)
