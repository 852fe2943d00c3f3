"""The other kind of pool: threads, for flows that mostly wait."""

from __future__ import annotations

from statistics import median

from benchmarks import flows, w5_batch
from benchmarks.figures import Figure, Results
from benchmarks.options import Options
from benchmarks.stack import Shape, run_stack, scratch

#: Two workers that run 50 executions at once.
SHAPE = Shape(workers=2, children=25, pool="threads")


def measure(options: Options, results: Results) -> None:
    """Run on a stack of its own."""
    with scratch() as directory, run_stack(SHAPE, directory) as stack:
        flow_id = stack.api.store(flows.w5())
        w5_batch.run(stack, flow_id, 50)
        count = max(50, options.count // 4)
        rates = [w5_batch.run(stack, flow_id, count).rate for _ in range(options.rounds)]
    note = f"{SHAPE.workers} workers x {SHAPE.children} threads"
    results.figures.append(
        Figure("W5, batch, threads instead of processes", f"{median(rates):.0f}/s", note=note)
    )
