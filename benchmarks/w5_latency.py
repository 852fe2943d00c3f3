"""W5 one at a time: from `POST /executions` to `execution:completed` at the WebSocket.

The socket is opened after the answer, as a client would that doesn't know the id before, and
asks for events at once (`batchTimeoutMs=0`). Budget: p50 10 ms, p99 30 ms.
"""

from __future__ import annotations

import time

from benchmarks import flows
from benchmarks.figures import Figure, Results, quantiles
from benchmarks.relay_client import Watcher
from benchmarks.stack import Stack

BUDGET = "p50 10 ms, p99 30 ms"
COUNT = 200


def measure(stack: Stack, results: Results, count: int = COUNT) -> None:
    """Run one after the other."""
    flow_id = stack.api.store(flows.w5())
    samples = [_once(stack, flow_id) for _ in range(count)]
    results.figures.append(
        Figure(
            "W5 one at a time, POST to execution:completed at the socket",
            quantiles(samples),
            BUDGET,
        )
    )


def _once(stack: Stack, flow_id: str) -> float:
    """How long (ms) one takes."""
    began = time.perf_counter()
    execution_id = stack.api.create(flow_id, autostart=True)
    watcher = Watcher(stack.api.port, execution_id)
    try:
        _, at = watcher.wait_for("execution:completed")
    finally:
        watcher.close()
    return (at - began) * 1000
