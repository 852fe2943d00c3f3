"""What a run has other processes do: the steps that it sends to them."""

from __future__ import annotations

from collections.abc import Sequence

from app.engine import Start
from app.executions.sent import SentSteps
from app.executions.surroundings import Surroundings
from app.executions.writer import Outcome
from app.nodes.queues import DEFAULT_QUEUE
from app.store.records import Fence


class Sending:
    """Sends steps of a run. For the run's own thread.

    A node with a queue of its own is sent there; the others only where every step is sent.
    """

    def __init__(self, fence: Fence, sent: SentSteps, around: Surroundings) -> None:
        self._fence = fence
        self._sent = sent
        self._around = around

    def sends(self, start: Start) -> bool:
        """Whether a started node runs under a claim of its own, wherever its queue is consumed."""
        around = self._around
        return around.send is not None and (around.sends_all or start.node.queue != DEFAULT_QUEUE)

    def split(self, starts: Sequence[Start]) -> tuple[Sequence[Start], Sequence[Start]]:
        """The starts that run here, and those that are sent."""
        elsewhere = [start for start in starts if self.sends(start)]
        if not elsewhere:
            return starts, ()
        return [start for start in starts if start not in elsewhere], elsewhere

    def send(self, starts: Sequence[Start]) -> bool:
        """Note granted steps as sent, then send them; False where the run is another's by now."""
        attempts = {start.node.id: start.attempt for start in starts}
        queues = {start.node.id: start.node.queue for start in starts}
        if not self._around.insist(
            lambda: self._around.store.post_steps(self._fence, attempts, queues)
        ):
            return False
        self._sent.nodes |= attempts
        if self._around.send is not None:
            self._around.send(self._fence.execution_id, queues)
        return True

    def settle(self, outcome: Outcome) -> Outcome:
        """Forget the steps whose results were just committed, if they were."""
        if outcome is Outcome.HELD and (done := self._sent.take_done()):
            self._around.insist(lambda: self._around.store.drop_steps(self._fence, done))
        return outcome
