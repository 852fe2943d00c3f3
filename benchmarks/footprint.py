"""A worker by itself: how long it takes to be ready, and the memory of its children.

Budget: ready within 3 s, 90 MB per child.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import psutil

from app.config import child_environ
from benchmarks.figures import Figure, Results
from benchmarks.stack import ENDS_WITHIN_S, ROOT, UNSET, Stack, wait_until

READY_WITHIN_S = 60.0
TIMES = 3


def measure(stack: Stack, results: Results) -> None:
    """Start one more worker a few times; weigh the children of those that have worked."""
    started = [_start_s(stack) for _ in range(TIMES)]
    shown = f"{median(started):.1f} s"
    results.figures.append(Figure("worker: start to ready", shown, "3 s"))
    weights = sorted(megabytes(child) for child in _children(stack))
    shown = f"{median(weights):.0f} MB, the largest {weights[-1]:.0f} MB"
    note = "its share of what is shared, after all the rounds"
    results.figures.append(Figure("worker: memory per child", shown, "90 MB", note=note))


def megabytes(process: psutil.Process) -> float:
    """What is the process's own, and its share of pages that it has in common with others."""
    return float(process.memory_full_info().pss) / 1e6


def _children(stack: Stack) -> list[psutil.Process]:
    leaders = [each for each in stack.kinds()["workers"] if each.ppid() == stack.leader.pid]
    return [child for leader in leaders for child in leader.children()]


def _start_s(stack: Stack) -> float:
    """How long one more worker takes until it is registered, which it does when it is ready."""
    alive = stack.database.workers()
    began = time.monotonic()
    with _worker(stack):
        wait_until(lambda: stack.database.workers() > alive, "it is ready", READY_WITHIN_S)
        return time.monotonic() - began


@contextmanager
def _worker(stack: Stack) -> Iterator[None]:
    environ = child_environ(
        **UNSET,
        DATA_DIR=str(stack.directory),
        WORKER_CONCURRENCY=str(stack.shape.children),
        NODE_MODULES="benchmarks.nodes",
    )
    with (stack.directory / "extra.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-n", "extra@%h"],
            cwd=ROOT,
            env=dict(environ),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(ENDS_WITHIN_S)
