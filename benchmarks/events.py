"""An event on its way to a WebSocket client: from the node that tells it to the socket.

50 executions at once tell 1,000 events per second, each watched by a socket of its own with
`batchTimeoutMs=0`. Budget: p50 5 ms, p99 25 ms.
"""

from __future__ import annotations

import selectors
import time

from benchmarks import flows
from benchmarks.figures import Figure, Results, quantiles
from benchmarks.relay_client import Watcher
from benchmarks.stack import Stack

BUDGET = "p50 5 ms, p99 25 ms"
EXECUTIONS, RATE_PER_S, SECONDS = 50, 1000, 6

#: Longer (s) is no measurement any more.
PATIENCE_S = 60.0


def measure(stack: Stack, results: Results, executions: int = EXECUTIONS) -> None:
    """Watch them all to their ends."""
    gap_ms = 1000 * executions // RATE_PER_S
    document = flows.row("V2benchTick", "BenchTickNode", 1)
    values = {"count": 1000 * SECONDS // gap_ms, "gap_ms": gap_ms}
    flow_id = stack.api.store(flows.with_values(document, values))
    ids = [stack.api.create(flow_id, autostart=False) for _ in range(executions)]
    watchers = [
        Watcher(stack.api.port, execution_id, "node:debug-log-string") for execution_id in ids
    ]
    try:
        for execution_id in ids:
            stack.api.post(f"/executions/{execution_id}/start")
        samples = follow(watchers)
    finally:
        for watcher in watchers:
            watcher.close()
    results.figures.append(
        Figure(
            f"event to the socket, {RATE_PER_S:,}/s over {executions} executions",
            quantiles(samples),
            BUDGET,
            note=f"{len(samples):,} events, worker threads",
        )
    )


def follow(watchers: list[Watcher]) -> list[float]:
    """Read them all to their ends; how long (ms) each event was on its way."""
    samples: list[float] = []
    deadline = time.monotonic() + PATIENCE_S
    with selectors.DefaultSelector() as selector:
        for watcher in watchers:
            selector.register(watcher, selectors.EVENT_READ, watcher)
        while selector.get_map():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(selector.get_map())} executions have not ended")
            for key, _ in selector.select(timeout=1.0):
                if _drain(key.data, samples):
                    selector.unregister(key.data)
    return samples


def _drain(watcher: Watcher, samples: list[float]) -> bool:
    """Take what one socket has; whether it was the last of it."""
    watcher.fill()
    while (frame := watcher.take()) is not None:
        told_at = (float(event["data"]["log"]) for event in frame.events)
        samples.extend((frame.at_wall - at) * 1000 for at in told_at)
        if frame.end:
            return True
    return False
