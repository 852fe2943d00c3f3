"""The documents name every metric there is, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from app.metrics.census import GAUGES, CensusCollector
from app.metrics.exposition import MemoryCollector
from app.metrics.groups import ApiMetrics, WorkerMetrics

DOCS = Path(__file__).parents[3] / "docs"
NAME = re.compile(r"\bchaingraph_\w+")


def families() -> Iterator[Metric]:
    for registry in (ApiMetrics().registry, WorkerMetrics().registry):
        yield from registry.collect()
    rows = [(what, "x", 1.0) for what in GAUGES]
    yield from CensusCollector(lambda: rows, lambda: 0.0).collect()
    yield from MemoryCollector(lambda: 1).collect()


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """The kind of each metric, by the name under which it is asked for."""
    return {
        f"{each.name}_total" if each.type == "counter" else each.name: each.type
        for each in families()
    }


def test_operations_lists_them_all(told: dict[str, str]) -> None:
    text = (DOCS / "operations.md").read_text()
    table = text.split("<!-- metrics -->")[1].split("<!-- /metrics -->")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(name for cell in cells for name in NAME.findall(cell)) == sorted(told)


def test_alerts_ask_for_metrics_that_are_there(told: dict[str, str]) -> None:
    document: Any = yaml.safe_load((DOCS / "alerts.yml").read_text())
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    assert len(rules) == len({rule["alert"] for rule in rules}) > 5
    asked = {name for rule in rules for name in NAME.findall(rule["expr"])}
    series = {
        suffixed
        for name, kind in told.items()
        for suffixed in ([f"{name}_count", f"{name}_sum"] if kind == "histogram" else [name])
    }
    assert asked
    assert asked <= series
