"""One more checkpointed node: how much longer a row of 100 takes than one of 5, per node.

By PostgreSQL's times, from the execution's start to its end. Budget: 1 ms.
"""

from __future__ import annotations

from benchmarks import flows
from benchmarks.figures import Figure, Results, spread
from benchmarks.stack import Stack, wait_until

BUDGET = "1 ms"
SHORT, LONG = 5, 100
COUNT = 15

_TOOK = """
    SELECT 1000 * extract(epoch FROM completed_at - started_at)::float
    FROM chaingraph_executions WHERE id = %s
"""


def measure(stack: Stack, results: Results, count: int = COUNT) -> None:
    """Rows of both lengths in turn, one execution at a time."""
    short, long = (
        stack.api.store(flows.row(f"V2benchRow{length}", flows.EFFECTFUL, length))
        for length in (SHORT, LONG)
    )
    samples = [_per_node(_took(stack, short), _took(stack, long)) for _ in range(count)]
    results.figures.append(
        Figure("one more checkpointed node, in a row of 100", spread(samples, " ms"), BUDGET)
    )


def _per_node(short_ms: float, long_ms: float) -> float:
    return (long_ms - short_ms) / (LONG - SHORT)


def _took(stack: Stack, flow_id: str) -> float:
    """How long (ms) an execution ran."""
    execution_id = stack.api.create(flow_id, autostart=True)
    wait_until(lambda: stack.database.ask(_TOOK, execution_id)[0], "the row is done", 30)
    took_ms: float = stack.database.ask(_TOOK, execution_id)[0]
    return took_ms
