"""The life of one program: started, followed, started again when it exits, ended when told.

    start → running → ready → running … → exit → pause → running …
                                        → stop → asked to end → killed if it doesn't

Each run is a process group of its own, so that a Ctrl-C in the terminal reaches the supervisor
alone, and so that whatever the program started ends with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress
from io import FileIO

from app.supervisor.guardian import Guardian
from app.supervisor.output import Channel
from app.supervisor.program import Pauses, Program, StartFailed

PROBE_EVERY_S = 0.1
#: What is still in the pipe of a process that ended is read within this time.
DRAIN_OUTPUT_S = 2.0
CHUNK = 65536


class Child:
    """One program under supervision."""

    def __init__(self, program: Program, channel: Channel, guardian: Guardian) -> None:
        self.program = program
        self._channel = channel
        self._guardian = guardian
        self._pauses = Pauses()
        self._ready = program.is_ready is None
        self._stopping = asyncio.Event()
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises StartFailed when it exits before, or takes longer than it may.
        """
        self._keeper = asyncio.create_task(self._keep())
        if self.program.is_ready is None:
            return
        prober = asyncio.create_task(self._probe(self.program.is_ready))
        done, _ = await asyncio.wait(
            {self._keeper, prober},
            timeout=self.program.ready_within_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        prober.cancel()
        if self._keeper in done:
            self._keeper.result()
        if not done:
            raise StartFailed(
                f"{self.program.name} was not ready within {self.program.ready_within_s:g} s"
            )

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ask it to end; kill its group when its time is up or `hurry` is set."""
        self._stopping.set()
        if self._keeper is None:
            return
        self._ask_to_end()
        await self._wait_for_end(self._keeper, hurry)
        if self._process is not None:
            _kill_group(self._process.pid)
        with suppress(StartFailed):
            await self._keeper
        self._channel.close()

    def _ask_to_end(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(self.program.stop_signal)

    async def _wait_for_end(self, keeper: asyncio.Task[None], hurry: asyncio.Event) -> None:
        hurried = asyncio.create_task(hurry.wait())
        done, _ = await asyncio.wait(
            {keeper, hurried},
            timeout=self.program.stop_within_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        hurried.cancel()
        if not done:
            self._channel.say(f"did not end within {self.program.stop_within_s:g} s: killed")

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        first_started = clock()
        while not self._stopping.is_set():
            started = clock()
            status = await self._run_once()
            if self._stopping.is_set():
                return
            if not self._ready and clock() - first_started >= self.program.patience_s:
                raise StartFailed(f"{self.program.name} {_told(status)} before it was ready")
            pause = self._pauses.after(clock() - started)
            self._channel.say(f"{_told(status)}; starting again in {pause:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _run_once(self) -> int:
        # A pipe of our own: asyncio's would make `wait` wait for its end as well, and that is
        # held open by whatever the program leaves behind.
        inner, outer = os.pipe()
        with FileIO(inner) as output:
            try:
                process = await self._spawn(outer)
            finally:
                os.close(outer)
            return await self._follow(process, output)

    async def _follow(self, process: Process, output: FileIO) -> int:
        self._process = process
        self._guardian.watch(process.pid, self.program.stop_signal, self.program.rank)
        if self._stopping.is_set():  # told while it was being started
            self._ask_to_end()
        reader = asyncio.create_task(self._read(output))
        status = await process.wait()
        # What the program left behind holds its ports.
        _kill_group(process.pid)
        self._process = None
        self._guardian.forget(process.pid)
        await asyncio.wait({reader}, timeout=DRAIN_OUTPUT_S)
        reader.cancel()
        self._channel.flush()
        return status

    async def _spawn(self, output: int) -> Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self.program.command,
                env=dict(self.program.environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **self.program.popen_arguments,
            )
        except OSError as error:
            raise StartFailed(f"{self.program.name} can't be run: {error}") from error

    async def _read(self, output: FileIO) -> None:
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), output
        )
        try:
            while data := await stream.read(CHUNK):
                self._channel.feed(data)
        finally:
            transport.close()

    async def _probe(self, is_ready: Callable[[], bool]) -> None:
        # There is no event to wait for: a server tells nobody when it listens.
        while self._process is None or not await asyncio.to_thread(is_ready):  # noqa: ASYNC110
            await asyncio.sleep(PROBE_EVERY_S)
        self._ready = True


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _told(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"exited with status {status}"
