"""A flow from its file into the server, or only before its eyes; faults are shown on their lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from app.cli.flow_file import FlowFile, FlowFileError, read_flow_file
from app.cli.output import say
from app.cli.statuses import USAGE
from app.client import ApiProblem, Client, Fault, Flow

NOT_FOUND = 404
VALIDATION_ERROR = "VALIDATION_ERROR"


@dataclass(frozen=True, slots=True)
class Stored:
    """A flow at the server; `is_new` unless this very document was its newest version before."""

    flow: Flow
    is_new: bool


def read_or_exit(path: Path) -> FlowFile:
    """Read a flow file; say what is wrong with it and exit if that can't be done."""
    try:
        return read_flow_file(path)
    except FlowFileError as error:
        say(error.message)
        raise typer.Exit(USAGE) from error


def store_or_exit(client: Client, file: FlowFile) -> Stored:
    """Store a flow, as a new version if it has changed; say what is odd about it.

    Where the server refuses it each fault is said, and the command exits.
    """
    there = stored_already(client, file.document)
    if there is not None:
        return Stored(there, is_new=False)
    try:
        flow = client.flows.store(file.document)
    except ApiProblem as problem:
        if problem.code != VALIDATION_ERROR:
            raise
        say_faults(file, problem.errors)
        raise typer.Exit(USAGE) from problem
    say_warnings(file, flow.warnings)
    return Stored(flow, is_new=True)


def say_faults(file: FlowFile, faults: Iterable[Fault]) -> None:
    """Say what is wrong with a flow, as compilers do."""
    for fault in faults:
        say(file.placed(fault))


def say_warnings(file: FlowFile, warnings: Iterable[Fault]) -> None:
    """Say what is odd about a flow, in the same way."""
    for oddity in warnings:
        say(file.placed(replace(oddity, message=f"warning: {oddity.message}")))


def stored_already(client: Client, document: dict[str, Any]) -> Flow | None:
    """The flow at its newest version, if that is this very document."""
    flow_id = document.get("id")
    if not isinstance(flow_id, str) or not flow_id:
        return None
    flow = find_flow(client, flow_id)
    same = flow is not None and _canonical(flow.document) == _canonical(document)
    return flow if same else None


def find_flow(client: Client, flow_id: str) -> Flow | None:
    """The flow at its newest version, if it is there."""
    try:
        return client.flows.get(flow_id)
    except ApiProblem as problem:
        if problem.status != NOT_FOUND:
            raise
        return None


def _canonical(document: Any) -> str:
    """Documents are equal if these are; to Python, 1 and true would be equal, too."""
    return json.dumps(document, sort_keys=True)
