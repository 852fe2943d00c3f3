"""What a run costs per node doesn't grow with the flow."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from time import process_time
from typing import Any

import pytest

from app.engine import Engine, NodeFailure, RunOptions, Wiring
from tests.unit.engine.graphs import flow, group, inside, plan_of

LARGE = 10_000
SMALL = 10

#: So many small flows are timed together: one alone is too short for the clock.
SMALL_RUNS = 100

#: What a node of a large flow may cost, in nodes of a small one. It is 0.8 to 1.1 on an idle
#: machine; one quadratic step makes it hundreds.
FACTOR = 1.5

BROKEN = NodeFailure("NodeError", "broken")


def chain(size: int) -> dict[str, Any]:
    """One after the other."""
    names = [f"n{number}" for number in range(size)]
    return flow(names, [f"{source}.out > {target}.a" for source, target in pairwise(names)])


def fan_out(size: int) -> dict[str, Any]:
    """One feeds all others."""
    names = [f"n{number}" for number in range(size)]
    return flow(names, [f"n0.out > {name}.a" for name in names[1:]])


def fan_in_all(size: int) -> dict[str, Any]:
    """The last waits for each of the others."""
    names = [f"n{number}" for number in range(size)]
    last = names[-1]
    return flow(names, [f"{name}.out > {last}.parts.{name}" for name in names[:-1]])


def fan_in_any(size: int) -> dict[str, Any]:
    """The last waits for any of the others."""
    names = [f"n{number}" for number in range(size)]
    return flow(names, [f"{name}.out > {names[-1]}.a" for name in names[:-1]])


def in_one_group(size: int) -> dict[str, Any]:
    """The first waits for each of the others to settle."""
    return flow([group("n0"), *(inside(f"n{number}", "n0") for number in range(1, size))])


def complete_all(engine: Engine) -> None:
    engine.begin()
    while (start := engine.start_next()) is not None or engine.running:
        if start is None:
            for node in sorted(engine.running):
                engine.inputs(node)
                engine.complete(node, {"out": 1, "flag": True}, 0)
    assert engine.verdict() is not None
    assert engine.completed == len(engine.plan.nodes)


def fail_first(engine: Engine) -> None:
    """The first node fails, and with it goes all that hangs on it."""
    engine.begin()
    engine.start_next()
    engine.fail(0, BROKEN, 0)
    assert engine.skipped + 1 == len(engine.plan.nodes)


def time_per_node(wiring: Wiring, drive: Callable[[Engine], None], runs: int) -> float:
    """CPU seconds per node, in the best of several measurements."""
    best = min(time_of(wiring, drive, runs) for _ in range(5))
    return best / (runs * len(wiring.plan.nodes))


def time_of(wiring: Wiring, drive: Callable[[Engine], None], runs: int) -> float:
    engines = [Engine(wiring, RunOptions(fail_on_error=False)) for _ in range(runs)]
    begun = process_time()
    for engine in engines:
        drive(engine)
    return process_time() - begun


@pytest.mark.parametrize(
    ("shape", "drive"),
    [
        (chain, complete_all),
        (chain, fail_first),
        (fan_out, complete_all),
        (fan_out, fail_first),
        (fan_in_all, complete_all),
        (fan_in_any, complete_all),
        (in_one_group, complete_all),
    ],
)
def test_a_node_costs_the_same_in_a_flow_of_any_size(
    shape: Callable[[int], dict[str, Any]], drive: Callable[[Engine], None]
) -> None:
    small = time_per_node(Wiring(plan_of(shape(SMALL))), drive, SMALL_RUNS)
    large = time_per_node(Wiring(plan_of(shape(LARGE))), drive, 1)

    assert large <= FACTOR * small, f"{large / small:.2f} times the cost"


def test_skips_reach_the_end_of_a_chain_in_order() -> None:
    engine = Engine(Wiring(plan_of(chain(LARGE))), RunOptions(fail_on_error=False))
    fail_first(engine)
    skipped = [e.data["nodeId"] for e in engine.take_events() if e.type == "node:skipped"]

    assert skipped == [f"n{number}" for number in range(1, LARGE)]
