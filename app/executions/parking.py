"""How a run gives its execution up while it waits, holding nothing."""

from __future__ import annotations

from app.events.wire import to_json
from app.executions.children import Children
from app.executions.ledger import Ledger
from app.executions.sent import SentSteps
from app.executions.surroundings import Surroundings
from app.executions.timers import Wait
from app.executions.waiting import why_parked
from app.store.records import Parked, Void, Woken


class Parking:
    """Parks a run, and says for what it waits. For the run's own thread."""

    def __init__(
        self, ledger: Ledger, sent: SentSteps, children: Children, around: Surroundings
    ) -> None:
        self._ledger = ledger
        self._sent = sent
        self._children = children
        self._around = around

    def park(self, wait: Wait | None, wake: int) -> Parked | Woken | Void:
        """Give the execution up until something arrives or the time comes that `wait` says.

        Woken where something arrived since `wake` was read.
        """
        writer, store = self._ledger.writer, self._around.store
        until = wait.at if wait else None
        plan, sent = self._ledger.engine.plan, self._sent.nodes
        since = self._around.now()
        why = why_parked(wait, plan, sent, self._children.open_ids, since)
        reason = to_json(why).decode()
        return self._around.insist(
            lambda: store.park(writer.fence, writer.writes, wake, reason, until)
        )
