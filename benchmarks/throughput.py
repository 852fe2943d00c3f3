"""The rounds of all that is measured in executions per second, turn by turn.

Ours and the peer's alternate, so that whatever else the machine does meets both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import median

from psutil import Process

from benchmarks import flows, w5_batch, w5_pure, w5_single
from benchmarks.figures import Costs, Figure, Results, spread
from benchmarks.metering import Meter, Turn, observe_background
from benchmarks.options import Options
from benchmarks.peers import Peer, run_peer
from benchmarks.rounds import Round
from benchmarks.stack import Stack, frozen

BATCH, SINGLE, PURE, PEER = "W5, batch", "W5, single requests", "pure nodes, batch", "DBOS"

#: Executions that every process sees before anything is timed.
WARM_UP = 200


def measure(stack: Stack, options: Options, results: Results) -> None:
    """Run the rounds; add the rates, their ratios and what an execution costs."""
    with ExitStack() as opened:
        turns = _ours(stack, options)
        peer = opened.enter_context(run_peer(stack)) if options.peers else None
        if peer is not None:
            turns = {name: _alone(turn, peer.programs) for name, turn in turns.items()}
            turns[PEER] = _alone(partial(peer.run, options.peer_count), stack.programs)
        meters = {name: _meter(stack, peer, name) for name in turns}
        rates = _rounds(turns, meters, options.rounds)
        results.figures += _figures(rates)
        results.costs += _costs(stack, turns, meters)
        if peer is not None:
            results.notes += compare_cpu(results.costs, PEER)


def _alone(turn: Turn, others: Callable[[], Sequence[Process]]) -> Turn:
    """A turn with the machine to itself: who polls all the time costs the other nothing."""

    def work() -> Round:
        with frozen(others()):
            return turn()

    return work


def warm_up(stack: Stack) -> None:
    """Have every child compile the plans, and PostgreSQL prepare its statements."""
    for document in (flows.w5(), flows.w5_pure()):
        w5_batch.run(stack, stack.api.store(document), WARM_UP)


def _ours(stack: Stack, options: Options) -> dict[str, Turn]:
    effectful, pure = stack.api.store(flows.w5()), stack.api.store(flows.w5_pure())
    return {
        BATCH: partial(w5_batch.run, stack, effectful, options.count),
        SINGLE: partial(w5_single.run, stack, effectful, options.single_count),
        PURE: partial(w5_pure.run, stack, pure, options.count),
    }


def _meter(stack: Stack, peer: Peer | None, name: str) -> Meter:
    if name == PEER and peer is not None:
        return Meter(name, peer.kinds, stack.database, peer.database)
    return Meter(name, stack.kinds, stack.database, stack.database.name)


def _rounds(
    turns: dict[str, Turn], meters: dict[str, Meter], rounds: int
) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds):
        for name, turn in turns.items():
            rates[name].append(meters[name].work(turn).rate)
            print(f"  round {number + 1}: {name}: {rates[name][-1]:.0f}/s", flush=True)
    return rates


def _figures(rates: dict[str, list[float]]) -> list[Figure]:
    budgets = {BATCH: w5_batch.BUDGET, SINGLE: w5_single.BUDGET, PURE: w5_pure.BUDGET, PEER: ""}
    compared = {BATCH: PEER, SINGLE: PEER, PURE: BATCH}
    return [
        Figure(
            name,
            spread(found, "/s"),
            budgets[name],
            _ratio(rates, name, compared.get(name, "")),
        )
        for name, found in rates.items()
    ]


def _ratio(rates: dict[str, list[float]], name: str, other: str) -> str:
    """Round by round, then the middle one: neighbours in time saw the same machine."""
    if other not in rates:
        return ""
    ratios = [one / two for one, two in zip(rates[name], rates[other], strict=True)]
    return f"{median(ratios):.1f} x {other}"


def _costs(stack: Stack, turns: dict[str, Turn], meters: dict[str, Meter]) -> list[Costs]:
    """One more round of each: PostgreSQL takes its time to count."""
    names = sorted({meter.name for meter in meters.values()})
    background = observe_background(stack.database, names)
    costs = []
    for name, turn in turns.items():
        meter = meters[name]
        costs.append(meter.finish(turn, background[meter.name]))
        print(f"  metered: {name}", flush=True)
    return costs


def compare_cpu(costs: Sequence[Costs], other: str) -> list[str]:
    """How many times our CPU the other takes: steadier than rates on a machine that is shared."""
    used = {cost.name: sum(cost.cpu_ms.values()) for cost in costs}
    return [
        f"{other} takes {used[other] / ms:.1f} times the CPU of: {name}."
        for name, ms in used.items()
        if name != other and ms
    ]
