"""Schedules in which executions wait for signals, and faults about them that are found."""

from __future__ import annotations

from typing import Any

import pytest

from app.executions.signals import SignalWaits
from app.local import database
from app.local.guards import Guards
from app.nodes.signal import PAYLOAD, TIMED_OUT
from app.store import signal_statements, signals
from tests.simulation.memory import MemoryBackend
from tests.simulation.nodes import SIGNALLED
from tests.simulation.world import Scenario, simulate
from tests.unit.simulation.test_planted_faults import Patch, found, with_guards
from tests.unit.simulation.test_schedules import explained

ANYTHING = Scenario(flows=SIGNALLED)
NO_LOSSES = Scenario(flows=SIGNALLED, counts=(0,), commands=False, clients=(4,), watched=0)
PARKED = Scenario(flows=("V2signal",), counts=(0,), commands=False, clients=(4,), watched=0)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_each_signal_goes_to_one_node_in_order_and_none_is_lost(first: int) -> None:
    for seed in range(first, first + 20):
        outcome = simulate(seed, MemoryBackend, ANYTHING)
        assert outcome.violation is None, explained(outcome)


def test_parking_without_a_look_at_what_came() -> None:
    class NoCompare(Guards):
        def may_park(self, row: Any, epoch: int, writes: int, wake: int) -> bool:
            return super().may_park(row, epoch, writes, row.wake)

    assert "sleeps, and" in found(PARKED, with_guards(NoCompare()))


def test_a_signal_that_wakes_nobody(monkeypatch: Patch) -> None:
    handlers = {**database.HANDLERS, signal_statements.GIVEN.name: lambda *_: [(None, False)]}
    monkeypatch.setattr(database, "HANDLERS", handlers)

    assert "sleeps, and" in found(PARKED)


def test_a_timeout_that_the_store_knows_nothing_of(monkeypatch: Patch) -> None:
    def just_end(self: Any, node: int, _: Any) -> bool:
        self._timers.take_wait(node)
        self._ledger.end_wait(node, {PAYLOAD: None, TIMED_OUT: True}, 800)
        return True

    monkeypatch.setattr(SignalWaits, "time_out", just_end)

    assert "and took None" in found(NO_LOSSES)


def test_a_wait_that_does_not_look_for_what_had_come(monkeypatch: Patch) -> None:
    monkeypatch.setattr("app.store.runs.give_kept", lambda *_: None)

    assert "timed out, and" in found(NO_LOSSES)


def test_a_signal_that_is_given_last_come_first_served(monkeypatch: Patch) -> None:
    match = signals.match
    monkeypatch.setattr(signals, "match", lambda kept, waits: match([*kept][::-1], waits))

    assert "was taken before" in found(NO_LOSSES)
