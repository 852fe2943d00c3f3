"""The order of things: one after the other at the start, rank by rank at the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from app.supervisor.child import Child
from app.supervisor.guardian import Guardian
from app.supervisor.output import Console
from app.supervisor.program import Program

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Plan = Callable[["Supervisor"], Awaitable[None]]


class Supervisor:
    """Keeps the programs that a plan starts until a signal comes."""

    def __init__(self, console: Console, guardian: Guardian) -> None:
        self._console = console
        self._guardian = guardian
        self._children: list[Child] = []
        self._told_to_end = asyncio.Event()
        self._hurry = asyncio.Event()

    async def start(self, program: Program) -> None:
        """Start a program and wait until it is ready; raises StartFailed when it isn't."""
        channel = self._console.channel(program.name, program.expected_lines)
        child = Child(program, channel, self._guardian)
        self._children.append(child)
        await child.start()

    def end(self) -> None:
        """Begin to end everything; the second call doesn't wait for anybody."""
        if self._told_to_end.is_set():
            self._hurry.set()
        self._told_to_end.set()

    async def follow(self, plan: Plan) -> None:
        """Carry out the plan, wait for the signal to end, end everything.

        Raises what the plan raises, once everything has ended.
        """
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self.end)
        work = asyncio.ensure_future(plan(self))
        told = asyncio.create_task(self._told_to_end.wait())
        try:
            await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
            if work.done() and work.exception() is None:
                await told
        finally:
            work.cancel()
            told.cancel()
            await self._stop_all()
        if work.done() and not work.cancelled():
            work.result()

    async def _stop_all(self) -> None:
        self._told_to_end.set()
        for rank in sorted({child.program.rank for child in self._children}, reverse=True):
            ending = [child for child in self._children if child.program.rank == rank]
            await asyncio.gather(*(child.stop(self._hurry) for child in ending))


async def together(*parts: Coroutine[Any, Any, None]) -> None:
    """Carry out the parts at once; when one fails, cancel the others and raise what it raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


def supervise(plan: Plan, console: Console, *, held: Sequence[int] = ()) -> None:
    """Run the plan's programs in the foreground until SIGINT, SIGTERM or SIGHUP.

    A second signal ends them at once. The descriptors `held` stay open until the last program
    has ended, even if this process is killed. Raises what the plan raises.
    """
    guardian = Guardian(held)
    try:
        asyncio.run(_follow(plan, console, guardian))
    finally:
        guardian.close()


async def _follow(plan: Plan, console: Console, guardian: Guardian) -> None:
    await Supervisor(console, guardian).follow(plan)
