"""The measured part of docs/performance.md: what stands between the two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks import table
from benchmarks.figures import Results
from benchmarks.profile import Profile

BEGIN = "<!-- measured: written by `make bench`, not by hand -->"
END = "<!-- end of what was measured -->"


class NoMarks(Exception):
    """The page has no place for what was measured."""


def render(results: Results, profile: Profile | None, machine: Sequence[str], command: str) -> str:
    """All that was measured, in Markdown."""
    parts = [
        "\n".join(f"- {line}" for line in (*machine, f"Command: `{command}`")),
    ]
    if results.figures:
        parts.append(table.of_figures(results.figures))
    if results.costs:
        parts += ["### What one execution costs", table.of_costs(results.costs)]
    if results.notes:
        parts.append("\n".join(f"- {note}" for note in results.notes))
    if profile is not None:
        parts += [
            "### A worker's children during `w5_batch`",
            table.of_lines(profile.worker),
            "### The API during `w5_single`",
            table.of_lines(profile.web),
            "### PostgreSQL by statement during `w5_batch`",
            table.of_statements(profile.statements),
        ]
    return "\n\n".join(parts)


def insert(page: str, measured: str) -> str:
    """The page with that between its marks. Raises NoMarks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoMarks(f"{BEGIN} and {END} aren't there")
    return f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}"


def write(path: Path, measured: str) -> None:
    """Renew the measured part of the page."""
    path.write_text(insert(path.read_text(), measured))
