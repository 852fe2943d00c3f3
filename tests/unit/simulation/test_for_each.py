"""Schedules in which a flow is run for each item, and a fault about that which is found."""

from __future__ import annotations

from typing import Any

import pytest

from app.executions.children import Children
from app.store.runs import PgRunStore
from tests.simulation.fanning import FLOW
from tests.simulation.memory import MemoryBackend
from tests.simulation.world import Scenario, simulate
from tests.unit.simulation.test_planted_faults import Patch, found
from tests.unit.simulation.test_schedules import explained

ANYTHING = Scenario(flows=(FLOW,), watched=0)
QUIET = Scenario(flows=(FLOW,), counts=(0,), commands=False, clients=(1,), watched=0)


@pytest.mark.parametrize("first", [0, 4])
def test_each_item_runs_once_and_no_more_at_once(first: int) -> None:
    for seed in range(first, first + 4):
        outcome = simulate(seed, MemoryBackend, ANYTHING)
        assert outcome.violation is None, explained(outcome)


def test_children_that_are_not_counted(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Children, "open_of", lambda *_: 0)

    assert found(QUIET)


def test_a_node_that_does_not_know_how_far_it_came(monkeypatch: Patch) -> None:
    def one_more(self: Any, execution_id: str, node_id: str) -> int:
        made = made_before(self, execution_id, node_id)
        return made + (0 < made < 5)

    made_before = PgRunStore.children_made
    monkeypatch.setattr(PgRunStore, "children_made", one_more)

    assert found(QUIET)
