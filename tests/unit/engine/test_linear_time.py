"""What a run costs per node doesn't grow with the flow."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from math import inf
from time import process_time
from typing import Any

import pytest

from app.engine import Checkpoint, Engine, NodeFailure, NodeStatus, RunOptions, Wiring
from tests.unit.engine.driving import RETRY_AT
from tests.unit.engine.graphs import flow, group, inside, listener, plan_of

LARGE = 10_000
SMALL = 10

#: So many small flows are timed together: one alone is too short for the clock.
SMALL_RUNS = 200

#: What a node of a large flow may cost, in nodes of a small one. It is 0.7 to 1.1 on an idle
#: machine; one quadratic step makes it hundreds.
FACTOR = 1.3

#: The same for taking up a run: it does so little that the memory's caches count.
RESTORING_FACTOR = 2.0

#: Both are measured in turns, and the best of each counts: a busy machine makes both slower. So
#: often at most: what is linear needs a few turns, what isn't is not helped by more.
MOST_ROUNDS = 15

EVENT = "order"
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


def in_groups_in_groups(size: int) -> dict[str, Any]:
    """Each holds the next one."""
    inner = (inside(f"n{n}", f"n{n - 1}", type="GroupNode") for n in range(1, size - 1))
    return flow([group("n0"), *inner, inside(f"n{size - 1}", f"n{size - 2}")])


def behind_a_listener(size: int) -> dict[str, Any]:
    """One after the other, and another listener's as many beside them."""
    names = [f"n{number}" for number in range(size // 2)]
    others = [f"o{number}" for number in range(size // 2)]
    return flow(
        [listener("n0", EVENT), *names[1:], listener("o0", "another"), *others[1:]],
        [f"{a}.out > {b}.a" for row in (names, others) for a, b in pairwise(row)],
    )


@cache
def wired(shape: Callable[[int], dict[str, Any]], size: int) -> Wiring:
    """A flow compiled, once for all that is done with it: that takes longer than most runs."""
    return Wiring(plan_of(shape(size)))


def settle_all(wiring: Wiring, settle: Callable[[Engine, int], None], event: str | None) -> None:
    engine = Engine(wiring, RunOptions(fail_on_error=False), event=event)
    engine.begin()
    while (start := engine.start_next()) is not None or engine.running or engine.waiting:
        if start is None:
            for node in sorted(engine.waiting):
                engine.retry(node)
            for node in sorted(engine.running):
                settle(engine, node)
            # As a run does at each boundary.
            engine.take_events()
    assert engine.verdict() is not None
    assert engine.tally.completed == engine.participation.total


def complete(engine: Engine, node: int) -> None:
    engine.inputs(node)
    engine.complete(node, {"out": 1, "flag": True}, 0)


def complete_at_second_try(engine: Engine, node: int) -> None:
    if engine.attempts[node] == 1:
        engine.defer(node, BROKEN, 0, RETRY_AT)
    else:
        complete(engine, node)


def complete_all(wiring: Wiring) -> None:
    settle_all(wiring, complete, None)


def retry_all(wiring: Wiring) -> None:
    """Each node completes at its second try."""
    settle_all(wiring, complete_at_second_try, None)


def complete_what_is_bound(wiring: Wiring) -> None:
    """A run for an event, of half the nodes."""
    settle_all(wiring, complete, EVENT)


def fail_first(wiring: Wiring) -> None:
    failed_first(wiring)


def failed_first(wiring: Wiring) -> Engine:
    """The first node fails, and with it goes all that hangs on it."""
    engine = Engine(wiring, RunOptions(fail_on_error=False))
    engine.begin()
    engine.start_next()
    engine.fail(0, BROKEN, 0)
    assert engine.tally.skipped + 1 == len(engine.plan.nodes)
    return engine


def restore_all(wiring: Wiring) -> None:
    """Everything was done before a crash, in the order of the document."""
    engine = Engine(wiring, RunOptions())
    outputs = {"out": 1, "flag": True}
    engine.restore(
        (Checkpoint(node.id, NodeStatus.COMPLETED, 1, outputs) for node in wiring.plan.nodes), {}
    )
    assert engine.tally.completed == len(wiring.plan.nodes)


def time_per_node(wiring: Wiring, drive: Callable[[Wiring], None], runs: int) -> float:
    """CPU seconds per node."""
    begun = process_time()
    for _ in range(runs):
        drive(wiring)
    return (process_time() - begun) / (runs * len(wiring.plan.nodes))


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
        (in_groups_in_groups, complete_all),
        (behind_a_listener, complete_what_is_bound),
        (chain, retry_all),
    ],
)
def test_a_node_costs_the_same_in_a_flow_of_any_size(
    shape: Callable[[int], dict[str, Any]], drive: Callable[[Wiring], None]
) -> None:
    assert_same_cost(shape, drive, FACTOR)


def test_a_checkpoint_costs_about_the_same_in_a_run_of_any_length() -> None:
    assert_same_cost(chain, restore_all, RESTORING_FACTOR)


def assert_same_cost(
    shape: Callable[[int], dict[str, Any]], drive: Callable[[Wiring], None], factor: float
) -> None:
    small_wiring, large_wiring = wired(shape, SMALL), wired(shape, LARGE)
    small = large = inf
    for _ in range(MOST_ROUNDS):
        small = min(small, time_per_node(small_wiring, drive, SMALL_RUNS))
        large = min(large, time_per_node(large_wiring, drive, 1))
        if large <= factor * small:
            return
    pytest.fail(f"{large / small:.2f} times the cost")


def test_skips_reach_the_end_of_a_chain_in_order() -> None:
    engine = failed_first(wired(chain, LARGE))
    skipped = [e.data["nodeId"] for e in engine.take_events() if e.type == "node:skipped"]

    assert skipped == [f"n{number}" for number in range(1, LARGE)]
