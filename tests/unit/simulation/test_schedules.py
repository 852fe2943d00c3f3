"""Every promise is kept in every schedule. More of them: `python -m tests.simulation`."""

from __future__ import annotations

import pytest

from tests.simulation.memory import MemoryBackend
from tests.simulation.nodes import QUEUED
from tests.simulation.world import Outcome, Scenario, simulate

SHARE = 125
#: Schedules that are made to go wrong where it hurts.
FROZEN = Scenario(kinds=("freeze", "freeze claimant", "cut"), counts=(2, 4), sends_steps=True)


def explained(outcome: Outcome) -> str:
    """What a failing seed did."""
    schedule = "\n".join(outcome.trace)
    return f"{schedule}\nseed {outcome.seed}: {outcome.violation!r}"


@pytest.mark.parametrize("first", range(0, 1000, SHARE))
def test_every_promise_is_kept(first: int) -> None:
    for seed in range(first, first + SHARE):
        outcome = simulate(seed, MemoryBackend)
        assert outcome.violation is None, explained(outcome)


def test_frozen_processes_find_out_that_their_steps_are_others_now() -> None:
    for seed in range(60):
        outcome = simulate(seed, MemoryBackend, FROZEN)
        assert outcome.violation is None, explained(outcome)


def test_a_seed_is_a_schedule() -> None:
    for seed in range(20):
        first = simulate(seed, MemoryBackend)
        assert simulate(seed, MemoryBackend) == first
    assert simulate(21, MemoryBackend).trace != first.trace


@pytest.mark.parametrize("sends_steps", [False, True])
def test_nodes_with_queues_keep_every_promise(*, sends_steps: bool) -> None:
    scenario = Scenario(flows=QUEUED, sends_steps=sends_steps)
    for seed in range(60):
        outcome = simulate(seed, MemoryBackend, scenario)
        assert outcome.violation is None, explained(outcome)
