"""Nodes for the benchmarks alone, brought to the workers by NODE_MODULES."""

from __future__ import annotations

import time

from app.nodes.sdk import NodeContext, node

CATEGORY = "benchmarks"


@node("BenchSleepNode", category=CATEGORY)
def sleep(ctx: NodeContext, ms: int = 300) -> None:
    """Takes its time.

    Ports: `ms` how long, in milliseconds.
    """
    ctx.cancelled.wait(ms / 1000)


@node("BenchTalkNode", category=CATEGORY)
def talk(ctx: NodeContext, count: int = 500, size: int = 4000) -> None:
    """Says a lot.

    Ports: `count` how often, `size` how many characters at once.
    """
    for _ in range(count):
        ctx.log("x" * size)


@node("BenchTickNode", category=CATEGORY)
def tick(ctx: NodeContext, count: int = 100, gap_ms: int = 50) -> None:
    """Tells the time (s since 1970), again and again.

    Ports: `count` how often, `gap_ms` the pause between, in milliseconds.
    """
    begin = time.monotonic()
    for place in range(count):
        # By a timetable, so that a slow event doesn't lower the rate.
        if ctx.cancelled.wait(max(0.0, begin + place * gap_ms / 1000 - time.monotonic())):
            return
        ctx.log(repr(time.time()))
