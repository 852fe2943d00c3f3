"""Faults that are put in on purpose are found: what the simulation is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.engine import Engine
from app.events.wire import envelopes
from app.executions import sent
from app.executions.children import Children
from app.executions.run import Run
from app.executions.writer import Writer
from app.local.guards import Guards
from app.store import endings, run_statements, runs
from app.store.leases import PgLeaseStore
from app.store.records import Fence, Written
from app.store.runs import PgRunStore
from tests.simulation.memory import MemoryBackend
from tests.simulation.scheduler import Scheduler
from tests.simulation.world import ANYTHING, MakeBackend, Scenario, simulate

#: A fault is found within so many seeds, or it counts as not found.
SEEDS = 400

#: Gives the promise that was seen to be broken, by what its message holds.
Broken = str
Patch = pytest.MonkeyPatch

#: Nobody watches, and nobody gives commands: these are about workers.
ALONE = Scenario(commands=False, watched=0)
LOSSES = replace(ALONE, kinds=("lose lock",), counts=(6,), sends_steps=False, flows=("V2steady",))
CUTS = replace(ALONE, kinds=("cut",), counts=(4, 8))
NO_LOSSES = replace(ALONE, counts=(0,), sends_steps=True, clients=(6,), flows=("V2row",))
FROZEN = replace(ALONE, kinds=("freeze", "freeze claimant"), counts=(3,), sends_steps=True)
FAMILIES = replace(ALONE, counts=(0,), sends_steps=False, flows=("V2family", "V2orphans"))
STOPPED = replace(FAMILIES, commands=True, clients=(4,), flows=("V2family",))


def found(scenario: Scenario, make_backend: MakeBackend = MemoryBackend) -> str:
    """The first promise that is seen to be broken."""
    for seed in range(SEEDS):
        outcome = simulate(seed, make_backend, scenario)
        if outcome.violation is not None:
            return str(outcome.violation)
    return pytest.fail(f"not found within {SEEDS} seeds")


def with_guards(guards: Guards) -> Callable[[Scheduler], MemoryBackend]:
    return lambda scheduler: MemoryBackend(scheduler, guards)


@pytest.mark.parametrize("scenario", [ANYTHING, LOSSES, CUTS, NO_LOSSES, FROZEN, FAMILIES, STOPPED])
def test_without_a_fault_nothing_is_found(scenario: Scenario) -> None:
    for seed in range(20):
        assert simulate(seed, MemoryBackend, scenario).violation is None


def test_a_write_without_its_fence() -> None:
    class NoFence(Guards):
        def may_write(self, row: Any, *_: object) -> bool:
            return bool(row.completed_at is None)

    assert "3: epoch" in found(LOSSES, with_guards(NoFence()))


def test_a_result_that_is_handed_in_without_a_fence() -> None:
    class NoFence(Guards):
        def holds_claim(self, claim: Any, epoch: int) -> bool:
            return bool(claim.status == "active")

    assert "3: " in found(FROZEN, with_guards(NoFence()))


def test_parking_without_a_look_at_what_came() -> None:
    class NoCompare(Guards):
        def may_park(self, row: Any, epoch: int, writes: int, wake: int) -> bool:
            return super().may_park(row, epoch, writes, row.wake)

    assert "a result was handed in" in found(NO_LOSSES, with_guards(NoCompare()))


def test_a_wake_up_that_is_lost(monkeypatch: Patch) -> None:
    monkeypatch.setattr(PgRunStore, "wake", lambda *_: None)

    assert "a result was handed in" in found(NO_LOSSES)


def test_a_childs_end_that_its_parent_is_not_told_of(monkeypatch: Patch) -> None:
    monkeypatch.setattr(PgRunStore, "wake", lambda *_: None)

    assert "its child" in found(FAMILIES)


def test_parking_without_a_look_at_which_children_ended() -> None:
    class NoCompare(Guards):
        def may_park(self, row: Any, epoch: int, writes: int, wake: int) -> bool:
            return super().may_park(row, epoch, writes, row.wake)

    assert "its child" in found(FAMILIES, with_guards(NoCompare()))


def test_an_event_that_makes_two_children(monkeypatch: Patch) -> None:
    emit = Children.emit

    def emit_twice(self: Any, node: int, emitted: Any) -> None:
        emit(self, node, [*emitted, *emitted])

    monkeypatch.setattr(Children, "emit", emit_twice)

    assert "11: " in found(FAMILIES)


def test_a_parent_that_does_not_wait_for_its_children(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Run, "_waits_for_children", lambda *_: False)

    assert found(FAMILIES)


def test_a_stop_without_a_second_look_at_children(monkeypatch: Patch) -> None:
    monkeypatch.setattr(endings, "end_descendants", lambda *_: [])

    assert "ends before its child" in found(STOPPED)


def test_a_failing_parent_that_leaves_its_children(monkeypatch: Patch) -> None:
    monkeypatch.setattr(runs, "end_descendants", lambda *_: [])

    assert "ends before its child" in found(FAMILIES)


def test_publishing_before_the_commit(monkeypatch: Patch) -> None:
    write = Writer._write
    #: The index of the next event, by execution.
    following: dict[str, int] = {}

    def publish_first(self: Any, boundary: Any) -> Any:
        execution_id = self.fence.execution_id
        if self.written_at is not None:
            first = following[execution_id]
            lines = envelopes(execution_id, first, self.written_at, boundary.events)
            self._publish(execution_id, first, lines)
        outcome = write(self, boundary)
        if isinstance(outcome, Written):
            following[execution_id] = outcome.first_index + len(boundary.events)
        return outcome

    monkeypatch.setattr(Writer, "_write", publish_first)

    assert "committed is None" in found(ANYTHING)


def test_trying_again_after_an_unknown_commit(monkeypatch: Patch) -> None:
    def just_again(self: Any, fence: Any, writes: int, boundary: Any, *more: Any) -> Any:
        for _, count, *_ in self._run(run_statements.INSPECT, fence.execution_id):
            return self.write(fence, count, boundary, *more)
        return None

    monkeypatch.setattr(PgRunStore, "settle_unknown", just_again)

    assert found(CUTS)


def test_renewing_what_does_not_run(monkeypatch: Patch) -> None:
    renew = PgLeaseStore.renew

    def renew_all(self: Any, fences: Any) -> Any:
        rows = self._run(run_statements.STRAYS, self._worker.worker_id, [], [])
        return renew(self, list({*fences, *(Fence(*row) for row in rows)}))

    monkeypatch.setattr(PgLeaseStore, "renew", renew_all)
    monkeypatch.setattr(PgLeaseStore, "release", lambda *_: None)

    assert "1: never ends" in found(CUTS)


def test_beginning_without_a_look_at_the_clock(monkeypatch: Patch) -> None:
    monkeypatch.setattr(sent, "begins_until", lambda *_: float("inf"))

    assert "after its claim was lost" in found(FROZEN)


def test_grants_that_are_forgotten(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Engine, "granted", {})

    assert "twice" in found(LOSSES)
