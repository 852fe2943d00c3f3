"""1,000 sockets on one API process, all receiving: what REST calls take meanwhile.

Budget: REST p99 under 100 ms, at most 200 KB of memory per socket.
"""

from __future__ import annotations

import threading
import time

import psutil

from benchmarks import flows
from benchmarks.api import Api
from benchmarks.events import follow
from benchmarks.figures import Figure, Results, quantiles
from benchmarks.footprint import megabytes
from benchmarks.relay_client import Watcher
from benchmarks.stack import Stack

BUDGET = "p99 100 ms; 200 KB a socket"
SOCKETS, EXECUTIONS = 1000, 20
#: Each execution tells so many events, with such a pause (ms) between them.
EVENTS, GAP_MS = 10, 1000
#: Between two REST calls (s).
ASK_EVERY_S = 0.05


def measure(stack: Stack, results: Results, sockets: int = SOCKETS) -> None:
    """Watch a few executions by many sockets, and ask for one of them again and again."""
    document = flows.row("V2benchSlowTick", "BenchTickNode", 1)
    values = {"count": EVENTS, "gap_ms": GAP_MS}
    flow_id = stack.api.store(flows.with_values(document, values))
    ids = [stack.api.create(flow_id, autostart=False) for _ in range(EXECUTIONS)]
    weight = _weight(stack)
    watchers = [
        Watcher(stack.api.port, ids[number % EXECUTIONS], "node:debug-log-string")
        for number in range(sockets)
    ]
    try:
        per_socket = (_weight(stack) - weight) * 1000 / sockets
        for execution_id in ids:
            stack.api.post(f"/executions/{execution_id}/start")
        samples = _ask_meanwhile(stack, ids[0], watchers)
    finally:
        for watcher in watchers:
            watcher.close()
    note = f"{per_socket:.0f} KB a socket when all were open"
    results.figures.append(
        Figure(f"REST while {sockets:,} sockets receive", quantiles(samples), BUDGET, note=note)
    )


def _ask_meanwhile(stack: Stack, execution_id: str, watchers: list[Watcher]) -> list[float]:
    """How long (ms) calls take until all sockets have ended."""
    samples: list[float] = []
    ended = threading.Event()

    def ask() -> None:
        api = Api(stack.api.port)
        while not ended.wait(ASK_EVERY_S):
            began = time.perf_counter()
            api.get(f"/executions/{execution_id}")
            samples.append((time.perf_counter() - began) * 1000)
        api.close()

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        follow(watchers)
    finally:
        ended.set()
        asker.join()
    return samples


def _weight(stack: Stack) -> float:
    """The memory (MB) of the API's processes."""
    processes: list[psutil.Process] = stack.kinds()["web"]
    return sum(map(megabytes, processes))
