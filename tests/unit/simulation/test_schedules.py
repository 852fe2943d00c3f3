"""Every promise is kept in every schedule. More of them: `python -m tests.simulation`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.memory import MemoryBackend
from tests.simulation.nodes import QUEUED
from tests.simulation.outcome import Outcome
from tests.simulation.world import Scenario, simulate

SHARE = 125
ROOT = Path(__file__).parents[3]
#: Schedules that are made to go wrong where it hurts.
FROZEN = Scenario(kinds=("freeze", "freeze claimant", "cut"), counts=(2, 4), sends_steps=True)

#: Schedules in which two runs of one process lose their executions, or are told something, at once:
#: which hears first must not follow from where they lie in memory.
ADDRESSED = (489, 1223, 1986)
#: Prints the digest of each schedule, in a process of its own, without its garbage being collected.
ELSEWHERE = """
import gc, logging, sys
gc.disable()
logging.disable(logging.CRITICAL)
from tests.simulation.memory import MemoryBackend
from tests.simulation.world import simulate
for seed in map(int, sys.argv[1:]):
    print(seed, simulate(seed, MemoryBackend).digest)
"""


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


def test_a_seed_is_a_schedule_wherever_things_lie_in_memory() -> None:
    for seed in ADDRESSED:
        first, between = simulate(seed, MemoryBackend), []
        for size in range(1, 6):
            between.append([object() for _ in range(7 * size)])
            assert simulate(seed, MemoryBackend).trace == first.trace, f"seed {seed}"


def test_a_seed_is_a_schedule_in_every_process_and_after_any_other() -> None:
    seeds = range(8)
    here = {seed: simulate(seed, MemoryBackend).digest for seed in seeds}

    there = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *map(str, reversed(seeds))],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "4021"},
        capture_output=True,
        check=True,
        text=True,
    )

    lines = map(str.split, there.stdout.splitlines())
    assert {int(seed): digest for seed, digest in lines} == here


@pytest.mark.parametrize("sends_steps", [False, True])
def test_nodes_with_queues_keep_every_promise(*, sends_steps: bool) -> None:
    scenario = Scenario(flows=QUEUED, sends_steps=sends_steps)
    for seed in range(60):
        outcome = simulate(seed, MemoryBackend, scenario)
        assert outcome.violation is None, explained(outcome)
