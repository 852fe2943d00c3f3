"""Taking an execution from its owner because somebody asked for it, in each store."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from app.store.commands import PgCommandStore
from app.store.protocol import RunStore
from app.store.records import Effect, Void
from app.store.takeovers import TakeoverTable
from tests.integration.store.boundaries import DONE, boundary, checkpoint, claim, write
from tests.memory_world import MemoryWorld
from tests.world import PgWorld

EitherWorld = PgWorld | MemoryWorld

BY = "api:local"


@pytest.fixture
def takeovers(world: EitherWorld) -> TakeoverTable:
    return TakeoverTable(world.database)


def take(takeovers: TakeoverTable, execution: str) -> Effect:
    effect = takeovers.take_over(execution, BY)
    assert effect is not None
    assert effect.execution_id == execution
    return effect


def trail(world: EitherWorld, execution: str) -> list[tuple[Any, ...]]:
    names = ("recovery_reason", "previous_status", "previous_worker_id", "recovered_by_worker")
    rows = world.recoveries(execution)
    return sorted(tuple(getattr(row, name) for name in names) for row in rows)


def test_the_owner_has_lost_it_and_another_goes_on_from_its_last_checkpoint(
    world: EitherWorld, store: RunStore, takeovers: TakeoverTable
) -> None:
    execution = world.create()
    first = claim(store, execution, "w1")
    write(store, first, 0, boundary("flow:started", checkpoints=[checkpoint("a")]))
    before = world.row(execution)

    effect = take(takeovers, execution)

    assert list(effect.owners) == ["w1"]
    assert effect.told is not None
    [(type_, data)] = effect.told.events
    told = {"reason": "requested", "previousWorkerId": "w1", "workerId": BY}
    assert (type_, json.loads(data)) == ("execution:recovered", told)
    assert effect.told.first_index == before.last_event_index + 1
    assert world.events(execution)[-1][:2] == (effect.told.first_index, "execution:recovered")
    row = world.row(execution)
    assert (row.status, row.epoch, row.writes) == ("running", 2, before.writes + 1)
    assert (row.failure_count, row.crashes, row.last_failure_reason) == (0, 0, None)
    assert (row.processing_worker_id, row.processing_started_at) == (None, None)
    assert trail(world, execution) == [("requested", "running", "w1", BY)]

    assert isinstance(store.write(first.fence, first.writes + 1, DONE), Void)
    again = claim(store, execution, "w2")
    assert (again.fence.epoch, again.begun) == (3, True)
    assert [each.node_id for each in store.checkpoints(execution)] == ["a"]


def test_what_waits_for_a_time_looks_again(
    world: EitherWorld, store: RunStore, takeovers: TakeoverTable
) -> None:
    claimed = claim(store, world.create())
    execution = claimed.fence.execution_id
    due = store.now() + timedelta(hours=1)
    store.park(claimed.fence, claimed.writes, claimed.wake, '{"for":"retry"}', due)

    effect = take(takeovers, execution)

    assert list(effect.owners) == []
    row = world.row(execution)
    assert (row.waiting, row.wake_at) == (None, None)
    assert row.runnable_at is not None


def test_nothing_moves_before_its_start_or_while_it_is_paused(
    world: EitherWorld, store: RunStore, takeovers: TakeoverTable
) -> None:
    unstarted = world.create(start=False)
    take(takeovers, unstarted)
    row = world.row(unstarted)
    assert (row.status, row.runnable_at, row.epoch) == ("created", None, 1)
    assert trail(world, unstarted) == [("requested", "created", None, BY)]

    claimed = claim(store, world.create())
    paused = claimed.fence.execution_id
    write(store, claimed, 0, boundary("flow:started"))
    store.release(claimed.fence)
    assert PgCommandStore(world.database).pause(paused, "") is not None
    take(takeovers, paused)
    row = world.row(paused)
    assert (row.status, row.runnable_at, row.waiting["for"]) == ("paused", None, "resume")


def test_the_place_in_the_backlog_is_kept(world: EitherWorld, takeovers: TakeoverTable) -> None:
    execution = world.create()
    since = world.row(execution).runnable_at
    take(takeovers, execution)
    assert world.row(execution).runnable_at == since


def test_the_owners_of_its_sent_steps_have_lost_them_too(
    world: EitherWorld, store: RunStore, takeovers: TakeoverTable
) -> None:
    claimed = claim(store, world.create(), "w1")
    execution = claimed.fence.execution_id
    write(store, claimed, 0, boundary("flow:started"))
    store.post_steps(claimed.fence, {"a": 1, "b": 1})
    step = store.claim_step(execution, "a", "w2", 10_000)
    assert step is not None

    effect = take(takeovers, execution)

    assert sorted(effect.owners) == ["w1", "w2"]
    assert not store.hand_in(step.fence, "{}")
    found = {each.node_id: each for each in store.sent_steps(execution)}
    assert (found["a"].status, found["b"].status) == ("expired", "released")
    assert json.loads(found["a"].result or "")["previousWorkerId"] == "w2"
    owners = [previous for _, _, previous, _ in trail(world, execution)]
    assert owners == ["w1", "w2"]


def test_what_is_final_or_is_not_there_is_taken_from_nobody(
    world: EitherWorld, store: RunStore, takeovers: TakeoverTable
) -> None:
    claimed = claim(store, world.create())
    write(store, claimed, 0, DONE)
    before = world.row(claimed.fence.execution_id)

    assert takeovers.take_over(claimed.fence.execution_id, BY) is None
    assert takeovers.take_over("EXnone", BY) is None

    assert world.row(claimed.fence.execution_id) == before
    assert trail(world, claimed.fence.execution_id) == []
