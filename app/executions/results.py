"""What other processes hand in for the steps that were sent to them."""

from __future__ import annotations

from app.engine.state import SETTLED
from app.executions.commands import Commands
from app.executions.ledger import Ledger
from app.executions.sent import SentSteps
from app.executions.settlement import Settlement
from app.executions.surroundings import Surroundings


class Results:
    """Turns results into checkpoints. For the run's own thread."""

    def __init__(
        self,
        ledger: Ledger,
        sent: SentSteps,
        settlement: Settlement,
        commands: Commands,
        around: Surroundings,
    ) -> None:
        self._ledger = ledger
        self._sent = sent
        self._settlement = settlement
        self._commands = commands
        self._around = around

    def read(self) -> None:
        """See what became of the steps that were sent, and take what was handed in."""
        engine, store = self._ledger.engine, self._around.store
        execution_id = self._ledger.writer.fence.execution_id
        granted = dict(self._sent.nodes)
        steps = self._around.insist(lambda: store.sent_steps(execution_id))
        self._sent.read(steps, granted)
        for node_id, told in self._sent.take_lost():
            engine.interrupt(engine.plan.index_of[node_id])
            self._ledger.note([told])
        self.take()

    def take(self) -> None:
        """Turn the results that were read into checkpoints, and forget their steps."""
        engine = self._ledger.engine
        for node_id, result in self._sent.take_results():
            node = engine.plan.index_of[node_id]
            if engine.status[node] in SETTLED:
                # Frozen since its claim, this process read old grants and new checkpoints. The
                # execution is another's, as the next write finds.
                continue
            self._commands.count_step()
            self._settlement.take(node, result)
