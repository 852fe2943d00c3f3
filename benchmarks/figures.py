"""What a benchmark hands in: figures with their samples, and the statistics over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: `values` are of the rounds, or percentiles of one; in `unit`.

    `budget` says what was aimed at. `ratio` compares with the peer of the same run.
    """

    name: str
    shown: str
    budget: str = ""
    ratio: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one execution costs: CPU (ms) by kind of process, transactions, WAL (bytes)."""

    name: str
    cpu_ms: dict[str, float]
    transactions: float
    writing: float
    wal_bytes: float


@dataclass(slots=True)
class Results:
    """All that was measured, in the order of measuring."""

    figures: list[Figure] = field(default_factory=list)
    costs: list[Costs] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that so many percent of them don't exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread(rates: Sequence[float], unit: str) -> str:
    """The median of the rounds, and the lowest and highest where there were several."""
    middle = f"{_short(median(rates))}{unit}"
    if len(rates) == 1:
        return middle
    return f"{middle} ({_short(min(rates))} to {_short(max(rates))})"


def quantiles(samples: Sequence[float], unit: str = " ms") -> str:
    """The median and the 99th percentile."""
    return (
        f"p50 {_short(percentile(samples, 50))}{unit}, p99 {_short(percentile(samples, 99))}{unit}"
    )


def _short(value: float) -> str:
    """Three digits are all that a measurement on a shared machine is worth."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
