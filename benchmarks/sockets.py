"""1,000 sockets on one API process: what they weigh, what REST calls take meanwhile, how they end.

Budget: REST p99 under 100 ms while all receive, at most 200 KB of memory per socket, none for
clients that never read; on SIGTERM each is told 1012 within a second and resumes without loss.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from benchmarks import flows
from benchmarks.api import Api, Refused
from benchmarks.events import create_ticking, drain, follow, started
from benchmarks.figures import Figure, Results, quantiles
from benchmarks.footprint import megabytes
from benchmarks.metering import cpu_by_kind
from benchmarks.relay_client import Goodbye, Watcher
from benchmarks.stack import Stack, wait_until

SOCKETS, EXECUTIONS = 1000, 20
#: Each execution tells so many events, with such a pause (ms) between them.
EVENTS, GAP_MS = 10, 1000
#: Between two REST calls (s).
ASK_EVERY_S = 0.05

#: Clients that read nothing of what is told: so many events of so many characters each.
SILENT, TALK, TALK_SIZE = 200, 500, 4000
#: What the kernel keeps for such a client at its own end (bytes).
SILENT_ROOM = 4096

RESTARTING = 1012
ENDS_WITHIN_S, COMES_BACK_WITHIN_S = 10.0, 60.0


def measure(stack: Stack, results: Results, sockets: int = SOCKETS) -> None:
    """Have them receive, then some that never read, then have the API restart under them."""
    _receive(stack, results, sockets)
    _never_read(stack, results)
    _restart(stack, results, sockets)


def _receive(stack: Stack, results: Results, sockets: int) -> None:
    ids = create_ticking(stack, EXECUTIONS, EVENTS, GAP_MS)
    weight, threads = _weight(stack), _threads(stack)
    with _watching(stack, ids, sockets) as watchers:
        opened = (_weight(stack) - weight) * 1000 / sockets
        before, began = cpu_by_kind(stack.kinds()), time.monotonic()
        with started(stack.api.port, ids), _asking(stack, ids[0]) as asked:
            late = follow(watchers)
        used = cpu_by_kind(stack.kinds())["web"] - before["web"]
        share = used / (time.monotonic() - began)
        received = (_weight(stack) - weight) * 1000 / sockets
        more_threads = _threads(stack) - threads
    results.figures += [
        Figure(f"REST while {sockets:,} sockets receive", quantiles(asked), "p99 100 ms"),
        Figure(
            f"event to {sockets:,} sockets, {sockets * 1000 // GAP_MS:,} frames/s",
            quantiles(late),
            note=f"{len(late):,} events; the API uses {share:.0%} of a core",
        ),
        Figure(
            f"memory per socket, {sockets:,} open",
            f"{opened:.0f} KB",
            "200 KB",
            note=f"{received:.0f} KB when all had received; {more_threads} threads more",
        ),
    ]


def _never_read(stack: Stack, results: Results) -> None:
    document = flows.row("V2benchTalk", "BenchTalkNode", 1)
    flow_id = stack.api.store(flows.with_values(document, {"count": TALK, "size": TALK_SIZE}))
    ids = [stack.api.create(flow_id, autostart=False) for _ in range(4)]
    with _watching(stack, ids, SILENT, room=SILENT_ROOM):
        weight = _weight(stack)
        for execution_id in ids:
            stack.api.post(f"/executions/{execution_id}/start")
        wait_until(lambda: _have_ended(stack, ids), "the talkers end", ENDS_WITHIN_S * 6)
        grown = (_weight(stack) - weight) * 1000 / SILENT
    told = TALK * TALK_SIZE / 1e6
    results.figures.append(
        Figure(
            f"memory per client that never reads, {told:.0f} MB told to each of {SILENT}",
            f"{grown:.0f} KB",
            "flat",
        )
    )


def _restart(stack: Stack, results: Results, sockets: int) -> None:
    # They tell on for longer than the restart takes.
    ids = create_ticking(stack, EXECUTIONS, 40, 500)
    with _watching(stack, ids, sockets) as watchers:
        for execution_id in ids:
            stack.api.post(f"/executions/{execution_id}/start")
        _process(stack).terminate()
        ended = _goodbyes(watchers)
        back: list[Watcher] = []
        try:
            began = time.monotonic()
            back.extend(_again(stack, watcher) for watcher in watchers)
            came_back = time.monotonic() - began
            follow(back)
        finally:
            for watcher in back:
                watcher.close()
    told = sum(code == RESTARTING for code, _ in ended)
    last = max(after for _, after in ended)
    results.figures += [
        Figure(
            "SIGTERM to the last goodbye",
            f"{last * 1000:.0f} ms",
            "1000 ms",
            note=f"{told:,} of {sockets:,} sockets with 1012",
        ),
        Figure(
            "all resumed at the next process, and read to the end without a hole",
            f"{sockets:,} sockets",
            note=f"all open again {came_back:.1f} s after the last goodbye",
        ),
    ]


@contextmanager
def _watching(
    stack: Stack, ids: Sequence[str], sockets: int, room: int | None = None
) -> Iterator[list[Watcher]]:
    watchers: list[Watcher] = []
    try:
        watchers.extend(
            Watcher(stack.api.port, ids[number % len(ids)], room=room) for number in range(sockets)
        )
        yield watchers
    finally:
        for watcher in watchers:
            watcher.close()


@contextmanager
def _asking(stack: Stack, execution_id: str) -> Iterator[list[float]]:
    """How long (ms) calls take meanwhile."""
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
        yield samples
    finally:
        ended.set()
        asker.join()


def _goodbyes(watchers: Sequence[Watcher]) -> list[tuple[int, float]]:
    """With which code each is closed, and how long (s) after the signal."""
    began, ended = time.monotonic(), []
    with selectors.DefaultSelector() as selector:
        for watcher in watchers:
            selector.register(watcher, selectors.EVENT_READ, watcher)
        while selector.get_map():
            left_s = began + ENDS_WITHIN_S - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"{len(selector.get_map())} sockets are open")
            for key, _ in selector.select(left_s):
                code = _closed_with(key.data)
                if code is not None:
                    selector.unregister(key.data)
                    ended.append((code, time.monotonic() - began))
    return ended


def _closed_with(watcher: Watcher) -> int | None:
    try:
        drain(watcher, [])
    except Goodbye as goodbye:
        return goodbye.code
    except ConnectionError:
        return 1006
    return None


def _again(stack: Stack, before: Watcher) -> Watcher:
    """Come back where a socket ended; the next process may not listen yet."""
    deadline = time.monotonic() + COMES_BACK_WITHIN_S
    while True:
        try:
            return Watcher(stack.api.port, before.execution_id, from_index=before.next_index)
        except (OSError, Refused):
            if time.monotonic() > deadline:
                raise
            time.sleep(ASK_EVERY_S)


def _have_ended(stack: Stack, ids: Sequence[str]) -> bool:
    return all(stack.api.get(f"/executions/{each}")["status"] == "completed" for each in ids)


def _process(stack: Stack) -> psutil.Process:
    """The API's process that serves: gunicorn starts another in its place."""
    leader, *serving = stack.kinds()["web"]
    return serving[0] if serving else leader


def _threads(stack: Stack) -> int:
    return sum(process.num_threads() for process in stack.kinds()["web"])


def _weight(stack: Stack) -> float:
    """The memory (MB) of the API's processes."""
    processes: list[psutil.Process] = stack.kinds()["web"]
    return sum(map(megabytes, processes))
