"""A created execution that waits for its start: from `POST …/start` to `node:started`.

Budget: p50 8 ms, p99 25 ms, at the WebSocket with `batchTimeoutMs=0`.
"""

from __future__ import annotations

import time

from benchmarks import flows
from benchmarks.figures import Figure, Results, quantiles
from benchmarks.relay_client import Watcher
from benchmarks.stack import Stack

BUDGET = "p50 8 ms, p99 25 ms"
COUNT = 100

#: How long (s) an execution is left to itself, so that it is parked: its first message was
#: taken, found no start signal and let go of the worker.
PARKED_AFTER_S = 0.05


def measure(stack: Stack, results: Results, count: int = COUNT) -> None:
    """Start one after the other."""
    flow_id = stack.api.store(flows.w5())
    samples = [_once(stack, flow_id) for _ in range(count)]
    results.figures.append(
        Figure("POST …/start to node:started at the socket", quantiles(samples), BUDGET)
    )


def _once(stack: Stack, flow_id: str) -> float:
    """How long (ms) one takes to start."""
    execution_id = stack.api.create(flow_id, autostart=False)
    watcher = Watcher(stack.api.port, execution_id)
    try:
        watcher.wait_for("execution:created")
        time.sleep(PARKED_AFTER_S)
        began = time.perf_counter()
        stack.api.post(f"/executions/{execution_id}/start")
        _, at = watcher.wait_for("node:started")
        watcher.wait_for("execution:completed")
    finally:
        watcher.close()
    return (at - began) * 1000
