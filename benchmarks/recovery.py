"""kill -9 in the middle of a run: how long until the next node starts, in another process.

The killed process is the child that runs the execution (another child or worker goes on), or
a worker with all its children, as if its machine were gone. Budget: p50 0.5 s, max 1.5 s.
"""

from __future__ import annotations

import time
from statistics import median

import psutil

from benchmarks import flows
from benchmarks.figures import Figure, Results
from benchmarks.relay_client import Watcher
from benchmarks.stack import Stack, wait_until

BUDGET = "p50 0.5 s, max 1.5 s"
CHILD_KILLS, WORKER_KILLS = 10, 5

#: How long (ms) each node takes: the kill comes in the middle of the third.
NODE_MS = 300
#: How long (s) a killed worker may take to be there again, by its supervisor.
BACK_WITHIN_S = 60.0

_OWNER = "SELECT processing_worker_id FROM chaingraph_executions WHERE id = %s"


class NotOurs(Exception):
    """The process that runs the execution is none of the stack's."""


def measure(
    stack: Stack, results: Results, kills: int = CHILD_KILLS, workers: int = WORKER_KILLS
) -> None:
    """Kill, and wait for the next node, again and again."""
    document = flows.row("V2benchSleep", "BenchSleepNode", 5)
    flow_id = stack.api.store(flows.with_values(document, {"ms": NODE_MS}))
    child = [_once(stack, flow_id, whole=False) for _ in range(kills)]
    results.figures.append(_figure("kill -9 of the child to the next node elsewhere", child))
    whole = [_once(stack, flow_id, whole=True) for _ in range(workers)]
    results.figures.append(_figure("kill -9 of a whole worker to the next node elsewhere", whole))


def _figure(name: str, samples: list[float]) -> Figure:
    shown = f"p50 {median(samples):.2f} s, max {max(samples):.2f} s"
    return Figure(name, shown, BUDGET, note=f"{len(samples)} kills")


def _once(stack: Stack, flow_id: str, *, whole: bool) -> float:
    """How long (s) it takes from the kill to the next `node:started` at the socket."""
    execution_id = stack.api.create(flow_id, autostart=True)
    watcher = Watcher(stack.api.port, execution_id, "node:started,execution:completed")
    try:
        for _ in range(3):
            event, _at = watcher.wait_for("node:started")
        time.sleep(NODE_MS / 2000)
        killed_at = _kill(stack, execution_id, whole=whole)
        _, at = watcher.wait_for("node:started", after=event["index"])
        watcher.wait_for("execution:completed")
    finally:
        watcher.close()
    wait_until(lambda: _all_back(stack), "the workers are back", BACK_WITHIN_S)
    return at - killed_at


def _kill(stack: Stack, execution_id: str, *, whole: bool) -> float:
    """Kill the owner of the execution, by its pid; give the moment (perf_counter)."""
    child = psutil.Process(_pid_of(stack.database.ask(_OWNER, execution_id)[0]))
    if child not in stack.kinds()["workers"]:
        raise NotOurs(f"process {child.pid}")
    leader = child.parent()
    victims = [leader, *leader.children(recursive=True)] if whole and leader else [child]
    for victim in victims:
        victim.suspend()
    killed_at = time.perf_counter()
    for victim in victims:
        victim.kill()
    return killed_at


def _pid_of(worker_id: str) -> int:
    """A child's name ends with its pid and a random part."""
    return int(worker_id.rpartition("/")[2].partition("-")[0])


def _all_back(stack: Stack) -> bool:
    """Whether every worker is there with all its children."""
    wanted = stack.shape.workers * (1 + stack.shape.children)
    alive = stack.database.workers()
    return alive >= stack.shape.workers and len(stack.kinds()["workers"]) >= wanted
