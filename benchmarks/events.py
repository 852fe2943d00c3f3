"""An event on its way to a WebSocket client: from the node that tells it to the socket.

50 executions at once tell 1,000 events per second, each watched by a socket of its own with
`batchTimeoutMs=0`. Budget: p50 5 ms, p99 25 ms.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.events.types import EventType
from benchmarks import flows
from benchmarks.api import Api
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
    ids = create_ticking(stack, executions, 1000 * SECONDS // gap_ms, gap_ms)
    watchers = [
        Watcher(stack.api.port, execution_id, EventType.NODE_DEBUG_LOG) for execution_id in ids
    ]
    try:
        with started(stack.api.port, ids):
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


def create_ticking(stack: Stack, executions: int, count: int, gap_ms: int) -> list[str]:
    """Create executions that each tell so many events, with such a pause (ms) between them."""
    document = flows.row("V2benchTick", "BenchTickNode", 1)
    flow_id = stack.api.store(flows.with_values(document, {"count": count, "gap_ms": gap_ms}))
    return [stack.api.create(flow_id, autostart=False) for _ in range(executions)]


@contextmanager
def started(port: int, execution_ids: Sequence[str]) -> Iterator[None]:
    """Start them meanwhile: who measures has to read from the first event on."""

    def start() -> None:
        api = Api(port)
        for execution_id in execution_ids:
            api.post(f"/executions/{execution_id}/start")
        api.close()

    starter = threading.Thread(target=start)
    starter.start()
    try:
        yield
    finally:
        starter.join()


def follow(watchers: Sequence[Watcher]) -> list[float]:
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
                if drain(key.data, samples):
                    selector.unregister(key.data)
    return samples


def drain(watcher: Watcher, samples: list[float]) -> bool:
    """Take what one socket has; whether it was the last of it."""
    watcher.fill()
    while (frame := watcher.take()) is not None:
        told_at = (
            float(event["data"]["log"])
            for event in frame.events
            if event["type"] == EventType.NODE_DEBUG_LOG
        )
        samples.extend((frame.at_wall - at) * 1000 for at in told_at)
        if frame.end:
            return True
    return False
