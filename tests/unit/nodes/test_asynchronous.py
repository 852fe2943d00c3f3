"""`async def` nodes: a loop of their own for each run, ended with the run, cleaned up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

import pytest

from app.errors import NodeCancelled, NodeTimeout
from app.nodes.sdk import NodeContext, Port, node, spec_of
from app.nodes.spec import NodeSpec
from tests.unit.nodes.context import FakeContext, run


@dataclass
class TimedContext(FakeContext):
    """One whose time is up once it is cancelled."""

    def check(self) -> None:
        if self.cancelled.is_set():
            raise NodeTimeout


def spec_for(body: Callable[[NodeContext], Awaitable[object]]) -> NodeSpec:
    @node("AsyncNode", category="test")
    async def n(ctx: NodeContext) -> Annotated[bool, Port("done")]:
        await body(ctx)
        return True

    found = spec_of(n)
    assert found is not None
    return found


def cancel(ctx: NodeContext) -> None:
    assert isinstance(ctx, FakeContext)
    ctx.cancelled.set()


def test_it_runs_in_the_thread_that_runs_the_node_in_a_loop_of_its_own() -> None:
    seen: list[tuple[threading.Thread, asyncio.AbstractEventLoop]] = []

    async def body(_: NodeContext) -> None:
        seen.append((threading.current_thread(), asyncio.get_running_loop()))

    for _ in range(2):
        run(spec_for(body))
    assert [thread for thread, _ in seen] == [threading.current_thread()] * 2
    assert seen[0][1] is not seen[1][1]


def test_two_in_two_threads_do_not_wait_for_each_other() -> None:
    both = threading.Barrier(2, timeout=30)

    async def body(_: NodeContext) -> None:
        both.wait()

    spec = spec_for(body)
    threads = [threading.Thread(target=run, args=(spec,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not both.broken


def test_what_it_raises_is_raised() -> None:
    async def body(_: NodeContext) -> None:
        raise LookupError("nowhere")

    with pytest.raises(LookupError, match="nowhere"):
        run(spec_for(body))


@pytest.mark.parametrize(
    ("context", "error"), [(FakeContext, NodeCancelled), (TimedContext, NodeTimeout)]
)
def test_a_stop_or_the_end_of_its_time_ends_it_where_it_waits(
    context: type[FakeContext], error: type[Exception]
) -> None:
    cleaned: list[str] = []

    async def body(ctx: NodeContext) -> None:
        cancel(ctx)
        try:
            await asyncio.sleep(3600)
        finally:
            # Longer than one look at the cancellation: it is left the time.
            await asyncio.sleep(0.05)
            cleaned.append("connection")

    with pytest.raises(error):
        run(spec_for(body), context())
    assert cleaned == ["connection"]


def test_one_that_returns_although_it_was_cancelled_is_cancelled() -> None:
    async def body(ctx: NodeContext) -> None:
        cancel(ctx)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return

    with pytest.raises(NodeCancelled):
        run(spec_for(body), FakeContext())


def test_one_that_fails_while_it_is_cancelled_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def body(ctx: NodeContext) -> None:
        cancel(ctx)
        try:
            await asyncio.sleep(3600)
        finally:
            raise LookupError

    with pytest.raises(NodeCancelled):
        run(spec_for(body), FakeContext())
    assert not caplog.records


def test_what_it_left_running_ends_with_it() -> None:
    ended: list[bool] = []
    tasks: set[asyncio.Task[None]] = set()

    async def left() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    async def body(_: NodeContext) -> None:
        tasks.add(asyncio.create_task(left()))
        await asyncio.sleep(0)

    assert run(spec_for(body)) == {"done": True}
    assert ended == [True]
