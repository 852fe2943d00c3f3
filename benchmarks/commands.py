"""Commands, from the request to their effect at the WebSocket: pause, step, resume, stop.

Pause, step and resume in a row of nodes of 5 ms, which the first two of these include; stop in the
middle of a node that would take a minute. Budget: p99 50 ms.
"""

from __future__ import annotations

import time
from collections import defaultdict

from benchmarks import flows
from benchmarks.figures import Figure, Results, quantiles
from benchmarks.relay_client import Watcher
from benchmarks.stack import Stack

BUDGET = "p99 50 ms"
COUNT = 50

#: How long (ms) a node takes that is paused after, and one that is stopped in its middle.
SHORT_MS, LONG_MS = 5, 60_000
#: Nodes in a row: enough to be paused, stepped and resumed before the last.
LENGTH = 20

NAMES = {
    "pause": "POST …/pause to flow:paused, in a row of nodes of 5 ms",
    "step": "POST …/step to flow:paused, one such node later",
    "resume": "POST …/resume to node:started",
    "stop": "POST …/stop in the middle of a node to the answer and execution:stopped",
}


def measure(stack: Stack, results: Results, count: int = COUNT) -> None:
    """Command one execution after the other."""
    samples: dict[str, list[float]] = defaultdict(list)
    short, long = _flow(stack, "V2benchShort", SHORT_MS), _flow(stack, "V2benchLong", LONG_MS)
    for _ in range(count):
        _pause_step_resume(stack, short, samples)
        _stop(stack, long, samples)
    for command, name in NAMES.items():
        results.figures.append(Figure(name, quantiles(samples[command]), BUDGET))


def _flow(stack: Stack, flow_id: str, node_ms: int) -> str:
    document = flows.row(flow_id, "BenchSleepNode", LENGTH)
    return stack.api.store(flows.with_values(document, {"ms": node_ms}))


def _pause_step_resume(stack: Stack, flow_id: str, samples: dict[str, list[float]]) -> None:
    execution_id = stack.api.create(flow_id, autostart=True)
    watcher = Watcher(stack.api.port, execution_id)
    try:
        event, _ = watcher.wait_for("node:completed")
        for command, effect in (
            ("pause", "flow:paused"),
            ("step", "flow:paused"),
            ("resume", "node:started"),
        ):
            began = time.perf_counter()
            stack.api.post(f"/executions/{execution_id}/{command}")
            event, at = watcher.wait_for(effect, after=event["index"])
            samples[command].append((at - began) * 1000)
        watcher.wait_for("execution:completed")
    finally:
        watcher.close()


def _stop(stack: Stack, flow_id: str, samples: dict[str, list[float]]) -> None:
    execution_id = stack.api.create(flow_id, autostart=True)
    watcher = Watcher(stack.api.port, execution_id)
    try:
        watcher.wait_for("node:started")
        began = time.perf_counter()
        stack.api.post(f"/executions/{execution_id}/stop")
        _, at = watcher.wait_for("execution:stopped")
        samples["stop"].append((at - began) * 1000)
    finally:
        watcher.close()
