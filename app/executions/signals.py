"""The waits for signals of one run: what came for them, and what came too late."""

from __future__ import annotations

from app.events.wire import from_json
from app.executions.ledger import Ledger
from app.executions.surroundings import Surroundings
from app.executions.timers import SignalWait, Timers, Wait
from app.nodes.signal import PAYLOAD, TIMED_OUT
from app.store.records import Fence, SignalTaken, Void


class SignalWaits:
    """Ends the waits for signals as the store has it. For the run's own thread.

    Which node takes a signal, and whether a wait's time was up before one came, is decided in
    the store, once and for all; a run reads it and enters it into its books.
    """

    def __init__(self, fence: Fence, ledger: Ledger, timers: Timers, around: Surroundings) -> None:
        self._fence = fence
        self._ledger = ledger
        self._timers = timers
        self._around = around
        self._store = around.store
        self._new: list[tuple[Wait, int]] = []

    def enter(self, wait: Wait, attempt: int) -> None:
        """A node waits from the next commit on: before it, no signal can be given to it."""
        self._new.append((wait, attempt))

    @property
    def are_new(self) -> bool:
        """Whether waits were entered that nothing was looked for yet."""
        return bool(self._new)

    def look_for_new(self) -> bool:
        """What was entered is committed: look for signals that had come before, and all others."""
        for wait, attempt in self._new:
            self._timers.wait(wait, attempt)
        self._new.clear()
        return self.look()

    def look(self) -> bool:
        """End the waits that a signal, or the time, has ended. False: the run is another's."""
        waits = self._timers.signal_waits()
        if not waits:
            return True
        nodes = self._ledger.engine.plan.nodes
        ids = [nodes[node].id for node in waits]
        names = sorted({wait.name for wait in waits.values()})
        taken = self._around.insist(lambda: self._store.take_signals(self._fence, ids, names))
        if isinstance(taken, Void):
            return False
        for each in taken:
            self._end(each)
        return True

    def time_out(self, node: int, wait: SignalWait) -> bool:
        """A wait's time is up: it ends, with the signal that was quicker or without one."""
        node_id = self._ledger.id_of(node)
        self._around.insist(lambda: self._store.end_signal_wait(self._fence, node_id, wait.name))
        return self.look()

    def _end(self, taken: SignalTaken) -> None:
        node = self._ledger.engine.plan.index_of[taken.node_id]
        if self._timers.take_wait(node) is not None:
            payload = None if taken.payload is None else from_json(taken.payload)
            outputs = {PAYLOAD: payload, TIMED_OUT: taken.timed_out}
            self._ledger.end_wait(node, outputs, taken.waited_ms)
