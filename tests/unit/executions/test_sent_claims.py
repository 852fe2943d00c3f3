"""A sent step whose claim took long: by the time that its reply is read, another may have it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.executions.executor import Executor
from app.executions.plans import PlanCache
from app.executions.steps import BEGINS_WITHIN_S
from app.executions.surroundings import Surroundings
from app.nodes.registry import builtin_catalogue
from app.nodes.sdk import spec_of
from app.store.records import ClaimedStep, Fence
from tests.integration.executions.nodes import node_that
from tests.world import OPTIONS

LEASE_S = 10.0
DOCUMENT = json.dumps(
    {"metadata": {"name": "x"}, "nodes": [{"id": "a", "type": "ProbeNode"}], "edges": []}
)


class Store:
    """Gives one step, `delay_s` after it was asked; `is_held` is whether it stays its claimer's."""

    def __init__(self, delay_s: float, is_held: bool) -> None:
        self.now = 0.0
        self._is_held = is_held
        self.handed_in: list[str] = []
        self._delay_s = delay_s

    def claim_step(self, *_: object) -> ClaimedStep:
        self.now += self._delay_s
        fence = Fence("EX1", 1, "a")
        options = json.dumps(OPTIONS)
        return ClaimedStep(fence, 1, "V2", 1, "local", "EX1", None, options, None, None)

    def holds(self, _: Fence) -> bool:
        return self._is_held

    def document(self, *_: object) -> str:
        return DOCUMENT

    def checkpoints(self, _: str) -> list[Any]:
        return []

    def hand_in(self, _: Fence, result: str) -> bool:
        self.handed_in.append(result)
        return True

    def wake(self, _: str) -> None:
        """Nobody sleeps."""


@pytest.mark.parametrize(
    ("delay_s", "is_held", "begins"),
    [
        (0.9 * BEGINS_WITHIN_S, False, 1),
        (1.1 * BEGINS_WITHIN_S, False, 0),
        (0.6 * LEASE_S, True, 1),
        (0.6 * LEASE_S, False, 0),
    ],
)
def test_a_step_begins_while_its_claim_is_fresh_or_else_asks_first(
    delay_s: float, is_held: bool, begins: int
) -> None:
    store: Any = Store(delay_s, is_held)
    begun: list[str] = []
    spec = spec_of(node_that(lambda ctx: begun.append(ctx.node_id)))
    assert spec is not None
    around = Surroundings(
        store=store,
        publish=lambda *_: None,
        plans=PlanCache({**builtin_catalogue(), spec.type: spec}),
        launch=lambda step: step.run(),
        clock=lambda: store.now,
        pause=lambda _: None,
        lease_s=LEASE_S,
        max_value_bytes=1000,
        is_draining=lambda: False,
    )

    executor = Executor("w1", round(LEASE_S * 1000), lambda: around, lambda: "token")

    assert executor.work_step("EX1", "a") is bool(begins)
    assert len(begun) == len(store.handed_in) == begins
