"""The relay, on a stack of its own: the way of an event to its socket, and 1,000 sockets."""

from __future__ import annotations

from benchmarks import events, sockets
from benchmarks.figures import Results
from benchmarks.pools import SHAPE
from benchmarks.stack import run_stack, scratch


def measure(results: Results) -> None:
    """Run it with worker threads, of which 50 executions at once need no process each."""
    with scratch() as directory, run_stack(SHAPE, directory) as stack:
        events.measure(stack, results, SHAPE.workers * SHAPE.children)
        sockets.measure(stack, results)
