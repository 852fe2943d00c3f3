"""Runs a coroutine in the node's own thread, and ends it when the run is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.errors import NodeCancelled
from app.nodes.spec import NodeContext

T = TypeVar("T")

#: Seconds between two looks at the cancellation: it belongs to another thread, and no event
#: loop can wait on it.
POLL_S = 0.02


def run_until_cancelled(work: Coroutine[Any, Any, T], ctx: NodeContext) -> T:
    """Run `work` to its end; raises as `ctx.check` does once the node should end."""
    return asyncio.run(_watched(work, ctx))


async def _watched(work: Coroutine[Any, Any, T], ctx: NodeContext) -> T:
    task = asyncio.ensure_future(work)
    while not task.done():
        if ctx.cancelled.is_set():
            task.cancel()
            await asyncio.wait({task}, timeout=POLL_S)
            ctx.check()
            raise NodeCancelled
        await asyncio.wait({task}, timeout=POLL_S)
    return task.result()
