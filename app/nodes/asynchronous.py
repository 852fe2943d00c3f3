"""Runs a coroutine in the node's own thread, and ends it when the run is stopped.

Each run of an `async def` node has an event loop of its own, in the thread that any node has: what
it awaits holds up no other node, and nothing that it started outlives it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.errors import NodeCancelled
from app.nodes.spec import NodeContext

T = TypeVar("T")

#: Seconds between two looks at the cancellation: it belongs to another thread, and no event
#: loop can wait on it.
POLL_S = 0.02

#: Seconds that a coroutine which was cancelled has to let go of what it holds.
CLEANUP_S = 1.0


def awaited(returned: Any, ctx: NodeContext) -> Any:
    """What a node gave, awaited if it has to be; raises as `ctx.check` does."""
    return run_until_cancelled(returned, ctx) if inspect.iscoroutine(returned) else returned


def run_until_cancelled(work: Coroutine[Any, Any, T], ctx: NodeContext) -> T:
    """Run `work` to its end; raises as `ctx.check` does once the node should end."""
    return asyncio.run(_watched(work, ctx))


async def _watched(work: Coroutine[Any, Any, T], ctx: NodeContext) -> T:
    task = asyncio.create_task(work)
    while not task.done():
        if ctx.cancelled.is_set():
            await _end(task)
            ctx.check()
            raise NodeCancelled
        await asyncio.wait({task}, timeout=POLL_S)
    return task.result()


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel it, and leave it the time to clean up; the loop would cut that off."""
    task.cancel()
    await asyncio.wait({task}, timeout=CLEANUP_S)
    if task.done() and not task.cancelled():
        # What it raised instead of ending counts no more; unread, the loop would complain.
        task.exception()
