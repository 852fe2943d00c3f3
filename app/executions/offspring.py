"""What a run has to do with executions that descend from it: it makes them, and waits for them."""

from __future__ import annotations

from app.executions.calls import Calls
from app.executions.children import Children
from app.executions.fan_out import FanOuts
from app.executions.ledger import Ledger
from app.executions.surroundings import Surroundings
from app.executions.timers import Timers
from app.store.records import Claimed


class Offspring:
    """The children of a run, and its nodes that go on as they end. For the run's own thread."""

    def __init__(
        self, claimed: Claimed, around: Surroundings, ledger: Ledger, timers: Timers
    ) -> None:
        self.children = Children(claimed, around, ledger)
        self.fan_outs = FanOuts(around, ledger, timers, self.children)
        self.calls = Calls(around, ledger, timers, self.children)

    def begin(self) -> None:
        """Make the children that come with the start, or see what became of those there are."""
        self.children.begin()
        self._go_on()

    def look(self) -> None:
        """See which children have ended, and what their nodes make of it."""
        if self.children.are_open:
            self.children.look()
            self._go_on()

    def _go_on(self) -> None:
        self.fan_outs.go_on()
        self.calls.go_on()
