"""How a command answers: in words for people, or as one JSON document with `--json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any, Protocol

import typer

from app.cli.event_lines import printable
from app.client.shapes import Json

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


class Answered(Protocol):
    """Something of the API's that keeps the JSON that it came as."""

    @property
    def raw(self) -> Json:
        """The JSON."""
        ...


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def print_raw(answered: Answered) -> None:
    """Print what the API answered, as it came."""
    print_json(dict(answered.raw))


def print_raw_list(answered: Iterable[Answered]) -> None:
    """Print what the API answered as one array."""
    print_json([dict(each.raw) for each in answered])


def say(line: str) -> None:
    """Say something beside the answer: one line on standard error."""
    print(printable(line), file=sys.stderr, flush=True)
