"""Many W5 queued at once: drained at one pace from the first to the last.

Budget: flat, at the throughput of the batches.
"""

from __future__ import annotations

from benchmarks import flows, w5_batch
from benchmarks.figures import Figure, Results
from benchmarks.options import Options
from benchmarks.stack import Stack

BUDGET = "flat, at the rate of batches"
COUNT = 20_000
#: With fewer executions in a round, fewer are queued: so many times a round's.
ROUNDS_WORTH = 7

#: (flow, count): completions per second of each fifth, in order of completion.
_PACE = """
    SELECT array_agg(rate ORDER BY fifth) FROM (
        SELECT fifth, count(*) / extract(epoch FROM max(completed_at) - min(completed_at))::float
            AS rate
        FROM (
            SELECT completed_at, ntile(5) OVER (ORDER BY completed_at) AS fifth
            FROM (
                SELECT completed_at FROM chaingraph_executions WHERE flow_id = %s
                ORDER BY completed_at DESC LIMIT %s
            ) AS newest
        ) AS parts GROUP BY fifth
    ) AS rates
"""


def measure(stack: Stack, options: Options, results: Results) -> None:
    """One round of very many."""
    count = min(COUNT, options.count * ROUNDS_WORTH)
    flow_id = stack.api.store(flows.w5())
    rate = w5_batch.run(stack, flow_id, count).rate
    paces = stack.database.ask(_PACE, flow_id, count)[0]
    note = "by fifths: " + ", ".join(f"{pace:.0f}" for pace in paces) + " per second"
    results.figures.append(
        Figure(f"{count:,} W5 queued at once", f"{rate:.0f}/s", BUDGET, note=note)
    )
