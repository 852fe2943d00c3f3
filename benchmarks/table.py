"""What was measured as tables: aligned text, which is Markdown as well."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import Costs, Figure
from benchmarks.profile import Line, Statement

Rows = Sequence[Sequence[str]]


def tabulate(head: Sequence[str], rows: Rows) -> str:
    """A Markdown table with aligned columns; columns that nobody filled are left out."""
    kept = [column for column in range(len(head)) if any(row[column] for row in rows)]
    lines = [[row[column] for column in kept] for row in (head, *rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True))} |" for line in lines
    )


def of_figures(figures: Sequence[Figure]) -> str:
    """The table of figures."""
    head = ("what", "measured", "budget", "ratio", "note")
    return tabulate(head, [(f.name, f.shown, f.budget, f.ratio, f.note) for f in figures])


def of_costs(costs: Sequence[Costs]) -> str:
    """The table of what one execution costs."""
    kinds = sorted({kind for cost in costs for kind in cost.cpu_ms})
    head = (
        *("per execution", "CPU, all (ms)", *kinds),
        *("transactions", "of them writing", "WAL (KB)"),
    )
    return tabulate(head, [_cost_row(cost, kinds) for cost in costs])


def of_lines(lines: Sequence[Line]) -> str:
    """The table of a profile."""
    head = ("function", "itself", "with what it calls")
    return tabulate(
        head, [(line.what, f"{line.share:.1f} %", f"{line.total:.1f} %") for line in lines]
    )


def of_statements(statements: Sequence[Statement]) -> str:
    """The table of PostgreSQL's time."""
    head = ("statement", "share of the time", "mean (ms)")
    rows = [(each.what, f"{each.share:.1f} %", f"{each.mean_ms:.3f}") for each in statements]
    return tabulate(head, rows)


def _cost_row(cost: Costs, kinds: Sequence[str]) -> list[str]:
    used = [f"{cost.cpu_ms[kind]:.2f}" if kind in cost.cpu_ms else "" for kind in kinds]
    return [
        *(cost.name, f"{sum(cost.cpu_ms.values()):.2f}", *used),
        *(f"{cost.transactions:.1f}", f"{cost.writing:.1f}", f"{cost.wal_bytes / 1024:.1f}"),
    ]
