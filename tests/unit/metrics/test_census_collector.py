from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, generate_latest

from app.errors import StoreUnavailable
from app.metrics.census import KEPT_S, CensusCollector
from tests.reading_metrics import samples, value


class Asked:
    """A store that is asked, and its clock."""

    def __init__(self) -> None:
        self.count = 0
        self.now = 0.0
        self.is_away = False

    def __call__(self) -> Sequence[tuple[str, str, float]]:
        self.count += 1
        if self.is_away:
            raise StoreUnavailable("away")
        return [("executions", "failed", 3.0), ("workers", "", float(self.count))]

    def text(self, collector: CensusCollector) -> str:
        registry = CollectorRegistry()
        registry.register(collector)
        return generate_latest(registry).decode()


def test_it_is_asked_once_in_a_while() -> None:
    asked = Asked()
    collector = CensusCollector(asked, lambda: asked.now)
    assert asked.count == 0
    first = asked.text(collector)
    assert value(first, "chaingraph_executions", status="failed") == 3
    assert value(first, "chaingraph_database_up") == 1
    asked.now = KEPT_S - 0.1
    assert asked.text(collector) == first
    asked.now = KEPT_S
    assert value(asked.text(collector), "chaingraph_workers") == 2


def test_without_an_answer_nothing_is_made_up() -> None:
    asked = Asked()
    collector = CensusCollector(asked, lambda: asked.now)
    asked.text(collector)
    asked.is_away = True
    asked.now = KEPT_S
    assert samples(asked.text(collector)) == {("chaingraph_database_up", ()): 0.0}
    asked.is_away, asked.now = False, 2 * KEPT_S
    assert value(asked.text(collector), "chaingraph_database_up") == 1
