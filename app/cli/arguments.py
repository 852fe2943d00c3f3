"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from app.cli import completion
from app.cli.output import say


class Status(StrEnum):
    """The statuses of executions, as typer takes a choice also where it may be repeated."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


T = TypeVar("T")


def text(given: T) -> T:
    """An argument, or each of several, that is to be sent: it must be text."""
    for each in given if isinstance(given, list) else [given]:
        try:
            str(each).encode()
        except UnicodeEncodeError as error:
            raise typer.BadParameter("is not UTF-8") from error
    return given


def part(given: str) -> str:
    """An argument that is to be a part of an address."""
    # As a part of an address these mean another place.
    if given in {"", ".", ".."}:
        raise typer.BadParameter("names nothing")
    return text(given)


ExecutionId = Annotated[
    str,
    typer.Argument(
        metavar="EXECUTION",
        callback=part,
        show_default=False,
        autocompletion=completion.executions,
    ),
]
FlowId = Annotated[
    str,
    typer.Argument(
        metavar="FLOW", callback=part, show_default=False, autocompletion=completion.flows
    ),
]
FlowPath = Annotated[
    Path, typer.Argument(metavar="FLOW.json", help="A flow document.", show_default=False)
]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]
Reason = Annotated[str | None, typer.Option(help="Why, for the record.", show_default=False)]


def first(items: Iterable[T], limit: int) -> Iterator[T]:
    """The first so many of a list; where there are more that is said."""
    rest = iter(items)
    yield from islice(rest, limit)
    if next(rest, None) is not None:
        say(f"there are more than {limit}: --limit {2 * limit}")
