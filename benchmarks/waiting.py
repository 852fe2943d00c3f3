"""Executions that wait cost nothing: W5 with 10,000 of them created and never started.

Budget: a new W5 as fast as without them.
"""

from __future__ import annotations

from statistics import median

from benchmarks import flows, w5_batch
from benchmarks.figures import Figure, Results
from benchmarks.options import Options
from benchmarks.stack import Stack

BUDGET = "as fast as without them"
WAITING = 10_000


def measure(stack: Stack, options: Options, results: Results) -> None:
    """Rounds without and then with them."""
    flow_id = stack.api.store(flows.w5())
    waiting_id = stack.api.store(flows.row("V2benchWait", flows.EFFECTFUL, 1))
    before = _rate(stack, flow_id, options)
    for _ in range(WAITING // w5_batch.BATCH):
        items = [{"flowId": waiting_id, "autostart": False}] * w5_batch.BATCH
        stack.api.post("/executions/batch", {"items": items})
    after = _rate(stack, flow_id, options)
    results.figures.append(
        Figure(
            f"W5, batch, while {WAITING:,} executions wait",
            f"{after:.0f}/s",
            BUDGET,
            f"{after / before:.2f} x without",
        )
    )


def _rate(stack: Stack, flow_id: str, options: Options) -> float:
    count = max(50, options.count // 3)
    return median(w5_batch.run(stack, flow_id, count).rate for _ in range(options.rounds))
