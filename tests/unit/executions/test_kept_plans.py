"""Which compiled plans a process keeps: many small ones, or few large ones."""

from __future__ import annotations

import json

import pytest

from app.executions import plans
from app.executions.plans import PlanCache
from app.nodes.registry import builtin_catalogue


class Reads:
    """Documents with one node, of as many characters as asked; counts how often one is read."""

    def __init__(self) -> None:
        self.cache = PlanCache(builtin_catalogue())
        self.read: list[int] = []

    def plan(self, version: int, characters: int = 1_000) -> None:
        def read(flow_id: str, _: int) -> str:
            self.read.append(version)
            node = {"id": "a", "type": "TextNode"}
            document = {"id": flow_id, "metadata": {"name": "x"}, "nodes": [node], "edges": []}
            return json.dumps(document).ljust(characters)

        wiring = self.cache.get("V2x", version, read)
        assert wiring.plan.flow_id == "V2x"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    monkeypatch.setattr(plans, "KEPT_PLANS", 4)
    monkeypatch.setattr(plans, "KEPT_CHARACTERS", 10_000)
    return Reads()


def test_the_least_recently_used_plan_is_forgotten_first(reads: Reads) -> None:
    for version in (1, 2, 3, 4, 1, 5, 1, 2):
        reads.plan(version)
    assert reads.read == [1, 2, 3, 4, 5, 2]


def test_large_plans_are_forgotten_sooner(reads: Reads) -> None:
    reads.plan(1)
    reads.plan(2, 6_000)
    reads.plan(3, 6_000)
    reads.plan(3, 6_000)
    reads.plan(2, 6_000)
    assert reads.read == [1, 2, 3, 2]


def test_a_plan_larger_than_all_that_is_kept_stays_until_the_next_one(reads: Reads) -> None:
    reads.plan(1, 20_000)
    reads.plan(1, 20_000)
    reads.plan(2)
    reads.plan(3)
    reads.plan(2)
    reads.plan(1, 20_000)
    assert reads.read == [1, 2, 3, 1]
