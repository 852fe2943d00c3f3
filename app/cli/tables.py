"""Rows and facts as people read them, aligned; on a terminal also in colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.event_lines import printable

#: A cell is a text, or a text with a style.
Cell = str | Text

#: Blanks between two columns.
_GAP = 2
#: On a narrow terminal, the last column folds to no less than this.
_NARROWEST_LAST = 20

_STYLES = {
    "completed": "green",
    "running": "cyan",
    "executing": "cyan",
    "paused": "magenta",
    "waiting": "magenta",
    "failed": "red",
    "error": "red",
    "stopped": "yellow",
    "cancelled": "yellow",
    "skipped": "dim",
    "idle": "dim",
}


def status_cell(status: str) -> Text:
    """A status in its colour."""
    return Text(printable(status), style=_STYLES.get(status, ""))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print rows below headings.

    Where nobody looks each row is one line, however long. On a terminal that is too narrow the
    last column folds; the others are never cut, for they are what is copied from there.
    """
    cells = [[_safe(cell) for cell in row] for row in rows]
    lines = [[Text(heading) for heading in headings], *cells]
    widths = [max(cell.cell_len for cell in column) + _GAP for column in zip(*lines, strict=True)]
    console = Console(highlight=False, width=_width(widths))
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for heading in headings[:-1]:
        table.add_column(heading, no_wrap=True)
    table.add_column(headings[-1], overflow="fold")
    for row in cells:
        table.add_row(*row)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def print_facts(facts: Iterable[tuple[str, Cell]]) -> None:
    """Print what there is to say about one thing, a line for each; what is empty is left out."""
    said = [(name, value) for name, value in facts if value]
    width = max(len(name) for name, _ in said) + _GAP
    console = Console(highlight=False, soft_wrap=True)
    for name, value in said:
        console.print(Text.assemble((name.ljust(width), "bold"), _safe(value)))


def _safe(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(printable(cell))


def _width(widths: Sequence[int]) -> int:
    """How wide the table is to be, with columns that are so wide at most."""
    there = Console()
    if not there.is_terminal:
        return sum(widths)
    return max(there.width, sum(widths[:-1]) + min(widths[-1], _NARROWEST_LAST))
