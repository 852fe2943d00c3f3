"""The attempts of a run's nodes that are under way in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.engine import Start
from app.errors import NodeTimeout
from app.executions.arrivals import Ended, Inbox, Resolved, Stale, Streamed, Told
from app.executions.ledger import Ledger
from app.executions.live_streams import LiveStreams
from app.executions.opening import limit_ms
from app.executions.settlement import Settlement
from app.executions.steps import RunFacts, Step, begins_until
from app.executions.surroundings import Surroundings
from app.executions.timers import Timers
from app.executions.writer import GATHER_LIVE_S

#: What an attempt can hand in.
Word = Ended | Told | Streamed | Resolved | Stale


class Attempts:
    """Launches attempts, hears them, and enters what comes of them. For the run's own thread.

    An attempt that was given up is heard no more: what it hands in later counts for nothing.
    """

    def __init__(
        self,
        facts: RunFacts,
        options: Mapping[str, Any],
        inbox: Inbox,
        ledger: Ledger,
        timers: Timers,
        settlement: Settlement,
        around: Surroundings,
    ) -> None:
        self._facts = facts
        self._options = options
        self._inbox = inbox
        self._ledger = ledger
        self._timers = timers
        self._settlement = settlement
        self._around = around
        self._streams = LiveStreams(ledger)
        self._steps: dict[int, Step] = {}

    @property
    def are_under_way(self) -> bool:
        """Whether there is any."""
        return bool(self._steps)

    @property
    def send_streams(self) -> bool:
        """Whether one of them may send a stream, which others read beside it."""
        return self._streams.are_sent

    def is_current(self, node: int, attempt: int) -> bool:
        """Whether this attempt of a node is under way."""
        step = self._steps.get(node)
        return step is not None and step.attempt == attempt

    def launch(self, start: Start) -> None:
        """Have a granted node begin."""
        node, writer = start.node.index, self._ledger.writer
        readers = self._streams.readers(node)
        step = self._around.step(
            self._facts,
            start,
            self._ledger.engine.inputs(node) | readers,
            self._inbox,
            self._fresh_until(),
            tuple(readers.values()),
        )
        self._steps[node] = step
        self._streams.begin(step)
        allowed_ms = limit_ms(start.node.timeout_ms, self._options)
        step.limit_ms, step.due = allowed_ms, self._around.clock() + allowed_ms / 1000
        self._timers.limit(node, start.attempt, step.due)
        if not start.node.spec.effects:
            # Its `node:started` waits in the writer: out with it if the node takes long.
            writer.hurry(GATHER_LIVE_S)
        self._around.launch(step)

    def relaunch(self, node: int) -> None:
        """Have an attempt begin that was held up, now that the run is known to be ours."""
        step = self._steps[node]
        step.fresh_until = self._fresh_until()
        self._around.launch(step)

    def hear(self, word: Word) -> None:
        """Take what an attempt that is under way hands in."""
        node = word.node
        match word:
            case Ended():
                self._streams.tell()
                step = self._steps.pop(node)
                if not self._streams.hold(word):
                    self._settle(step, word)
            case Told():
                self._streams.tell()
                self._steps[node].heard += 1
                self._ledger.note([word.event])
            case Streamed():
                self._streams.hurry()
            case Resolved():
                self._ledger.resolve(node, word.port, word.value)

    def tell(self) -> None:
        """Have the events of what was sent into streams written with the next boundary."""
        self._streams.tell()

    def time_out(self, node: int) -> None:
        """Give an attempt up, whatever its thread does."""
        self._streams.tell()
        step = self._steps.pop(node)
        step.cancel(timed_out=True)
        allowed_ms = limit_ms(step.start.node.timeout_ms, self._options)
        error = NodeTimeout(f"not done within {allowed_ms} ms")
        self._settle(step, Ended(node, step.attempt, None, error, allowed_ms))

    def cancel_all(self) -> None:
        """Ask all of them to end, and hear none: what is told to end may be half done."""
        given_up, self._steps = self._steps, {}
        for step in given_up.values():
            step.cancel(timed_out=False)

    def _settle(self, step: Step, ended: Ended) -> None:
        """Enter what came of an attempt; then that of others which had to wait for it."""
        self._around.count(step, ended)
        if ended.error is not None:
            self._settlement.raised(step.start, ended.error, ended.execution_ms, step.streamed())
        else:
            took_ms, emitted = ended.execution_ms, ended.emitted
            self._settlement.completed(ended.node, ended.outputs or {}, took_ms, emitted)
        if not self._streams.are_idle:
            self._follow(step)

    def _follow(self, step: Step) -> None:
        self._streams.follow(step)
        for node in [each for each in self._steps if each not in self._ledger.engine.running]:
            self._streams.forget(node)
            self._steps.pop(node).cancel(timed_out=False)
        while (free := self._streams.take_free()) is not None:
            self._settle(*free)

    def _fresh_until(self) -> float:
        return begins_until(self._ledger.writer.confirmed_at, self._around.lease_s)
