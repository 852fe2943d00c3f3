"""The engine alone: pure nodes in a row, in this process, no database and no broker.

Budget: 50 µs per node, the same at 10 and at 10,000 nodes (± 30 %).
"""

from __future__ import annotations

import time
from statistics import median
from typing import cast

from app.engine import Engine, RunOptions, Wiring
from app.engine.state import Completion
from app.flows import prepare
from app.nodes.invoke import run_node_function
from app.nodes.registry import builtin_catalogue
from app.nodes.spec import NodeContext
from benchmarks import flows
from benchmarks.figures import Figure, Results

BUDGET = "50 µs per node; ± 30 % from 10 to 10,000"
LENGTHS = (10, 10_000)

#: Nodes that are run for each figure, however long the row is, and how often that is done.
NODES = 20_000
TIMES = 3

OPTIONS = RunOptions(max_concurrency=50, fail_on_error=True, debug=False)
#: The nodes of these rows ask their context for nothing.
NOBODY = cast("NodeContext", None)


def measure(results: Results) -> None:
    """Run rows of both lengths."""
    shown = []
    for length in LENGTHS:
        document = flows.row("V2engine", flows.PURE, length)
        compiled_us = median(_compile_us(document) for _ in range(TIMES))
        wiring = Wiring(prepare(document, builtin_catalogue()).plan)
        runs = NODES // length
        run_us = median(_run_us(wiring, runs) for _ in range(TIMES))
        shown.append(run_us)
        results.notes.append(
            f"Compiling a flow of {length:,} nodes, once per version and process:"
            f" {compiled_us:.0f} µs per node."
        )
    text = ", ".join(
        f"{us:.0f} µs at {length:,}" for us, length in zip(shown, LENGTHS, strict=True)
    )
    results.figures.append(Figure("engine alone, per pure node", text, BUDGET))


def _compile_us(document: flows.Document) -> float:
    began = time.perf_counter()
    Wiring(prepare(document, builtin_catalogue()).plan)
    return (time.perf_counter() - began) * 1e6 / len(document["nodes"])


def _run_us(wiring: Wiring, runs: int) -> float:
    began = time.perf_counter()
    for _ in range(runs):
        run_through(wiring)
    return (time.perf_counter() - began) * 1e6 / (runs * len(wiring.plan.nodes))


def run_through(wiring: Wiring) -> None:
    """Walk a plan from its beginning to its end, nodes called in place, events thrown away."""
    engine = Engine(wiring, OPTIONS)
    engine.begin()
    while (start := engine.start_next()) is not None:
        node = start.node
        outputs = run_node_function(node.spec, engine.inputs(node.index), NOBODY)
        engine.complete(node.index, outputs, 0)
        engine.take_events()
    if engine.verdict() != Completion():
        raise AssertionError("a row of pure nodes completes")
