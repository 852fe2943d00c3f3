"""W5 with 1, 2, 4 … workers: how throughput grows, and what is full first."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from statistics import median

from benchmarks import flows, throughput, w5_batch
from benchmarks.figures import Figure, Results
from benchmarks.metering import cpu_by_kind
from benchmarks.options import Options
from benchmarks.stack import Stack, run_stack, scratch


def measure(options: Options, results: Results) -> None:
    """A stack of its own for each number of workers."""
    for workers in options.scale:
        shape = replace(options.shape, workers=workers)
        with scratch() as directory, run_stack(shape, directory) as stack:
            throughput.warm_up(stack)
            results.figures.append(_of(stack, options))


def _of(stack: Stack, options: Options) -> Figure:
    flow_id = stack.api.store(flows.w5())
    before, began = cpu_by_kind(stack.kinds()), time.monotonic()
    rates = [w5_batch.run(stack, flow_id, options.count).rate for _ in range(options.rounds)]
    seconds, after = time.monotonic() - began, cpu_by_kind(stack.kinds())
    shares = {
        kind: (used - before.get(kind, 0.0)) / seconds / (os.cpu_count() or 1)
        for kind, used in after.items()
    }
    return Figure(
        f"W5, batch, {stack.shape.workers} workers x {stack.shape.children}",
        f"{median(rates):.0f}/s",
        note=saturation(shares),
    )


def saturation(shares: dict[str, float]) -> str:
    """How much of the machine is used, by whom; `shares` are of all cores together (0..1)."""
    ordered = sorted(shares.items(), key=lambda each: -each[1])
    parts = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in ordered if share >= 0.01)
    return f"CPU {100 * sum(shares.values()):.0f} % used: {parts}"
