"""The suite that every store passes: what is ended because its time is up."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from app.store.protocol import RunStore
from app.store.records import Effect, Parked, Pausing
from app.store.sweeps import Fired, PgSweepStore
from app.store.takeovers import TakeoverTable
from tests.integration.store.boundaries import DONE, boundary, claim, write
from tests.world import OPTIONS, PgWorld, World

EXECUTIONS = "chaingraph_executions"
LATE = "flow not done within 60000 ms"
ENDED = ["flow:failed", "execution:failed"]


@pytest.fixture
def sweeps(world: World) -> PgSweepStore:
    return world.sweeps("sweeper")


def limited(ms: int = 60_000) -> str:
    options = json.loads(json.dumps(OPTIONS))
    options["execution"]["flowTimeoutMs"] = ms
    return json.dumps(options)


def pass_time(world: World, execution: str, ms: int) -> None:
    """As if so much time had passed for it."""
    row = world.row(execution)
    times = ("created_at", "started_at", "wake_at", "deadline_at")
    shifted = {
        name: getattr(row, name) - timedelta(milliseconds=ms)
        for name in times
        if getattr(row, name) is not None
    }
    world.change(EXECUTIONS, {"id": execution}, **shifted)


def ids(effects: list[Effect]) -> list[str]:
    return [effect.execution_id for effect in effects]


def last_events(world: World, execution: str) -> list[tuple[str, Any]]:
    return [(type_, json.loads(data)) for _, type_, data in world.events(execution)[-2:]]


# -- the start


def test_what_nobody_starts_in_time_fails(world: World, sweeps: PgSweepStore) -> None:
    late = world.create(start=False, start_timeout_ms=60_000)
    waiting = world.create(start=False, start_timeout_ms=70_000)
    for each in (late, waiting):
        pass_time(world, each, 60_000)

    [effect] = sweeps.end_unstarted(10)

    message = "start signal not received within 60000 ms"
    row = world.row(late)
    assert (row.status, row.error_message, row.error_node_id) == ("failed", message, None)
    assert (row.started_at, row.wake_at, row.runnable_at) == (None, None, None)
    assert row.completed_at is not None
    assert (effect.execution_id, effect.told is not None) == (late, True)
    assert last_events(world, late) == [
        (
            "flow:failed",
            {"executionTimeMs": 0, "error": {"type": "StartTimeout", "message": message}},
        ),
        (
            "execution:failed",
            {"executionTimeMs": 0, "errorMessage": message, "errorNodeId": None},
        ),
    ]
    assert [index for index, _, _ in world.events(late)] == [-1, 0, 1]
    assert sweeps.end_unstarted(10) == []
    assert world.row(waiting).status == "created"
    assert not world.table.request_start(late)


def test_what_was_started_in_time_is_left_alone(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    started = world.create(start=False, start_timeout_ms=60_000)
    at_once = world.create()
    assert world.table.request_start(started)
    assert world.row(started).wake_at is None
    pass_time(world, started, 90_000)

    assert sweeps.end_unstarted(10) == []
    assert world.row(at_once).wake_at is None
    assert claim(store, started)


def test_a_wait_for_the_start_is_no_timer_to_fire(world: World, sweeps: PgSweepStore) -> None:
    late = world.create(start=False, start_timeout_ms=60_000)
    pass_time(world, late, 60_000)

    assert sweeps.fire_timers(10, 1000) == Fired([], True, None)


def test_starts_are_ended_in_bounded_batches_the_oldest_first(
    world: World, sweeps: PgSweepStore
) -> None:
    late = [world.create(start=False, start_timeout_ms=60_000) for _ in range(4)]
    for age, each in enumerate(late):
        pass_time(world, each, 61_000 + 1000 * age)

    assert sorted(ids(sweeps.end_unstarted(3))) == sorted(late[1:])
    assert ids(sweeps.end_unstarted(3)) == late[:1]


def test_a_start_that_comes_first_wins(pg: PgWorld) -> None:
    """Its row is locked by a start that is not committed yet."""
    sweeps = pg.sweeps("sweeper")
    late = pg.create(start=False, start_timeout_ms=60_000)
    pass_time(pg, late, 60_000)
    beside = pg.connect()
    beside.autocommit = False
    try:
        with beside.cursor() as cursor:
            cursor.execute(
                "UPDATE chaingraph_executions SET start_requested_at = clock_timestamp(),"
                " runnable_at = clock_timestamp(), wake_at = NULL WHERE id = %s",
                (late,),
            )
        assert sweeps.end_unstarted(10) == []
        beside.commit()
        assert sweeps.end_unstarted(10) == []
    finally:
        beside.close()
    assert pg.row(late).status == "created"


# -- the flow


def begun(world: World, store: RunStore, timeout_ms: int = 60_000) -> Any:
    """A claimed execution whose first boundary is written."""
    claimed = claim(store, world.create(options=limited(timeout_ms)))
    write(store, claimed, 0, boundary("flow:started", grants='{"a":1}'))
    return claimed


def test_the_deadline_is_stored_by_who_gives_the_execution_up(
    world: World, store: RunStore
) -> None:
    claimed = begun(world, store)
    assert claimed.deadline_in_ms is None
    row = world.row(claimed.fence.execution_id)
    assert (row.deadline_at, row.wake_at) == (None, None)

    store.park(claimed.fence, claimed.writes + 1, claimed.wake, "{}", None)

    row = world.row(claimed.fence.execution_id)
    assert row.deadline_at == row.started_at + timedelta(seconds=60)


def test_what_has_not_begun_has_none(world: World, store: RunStore) -> None:
    claimed = claim(store, world.create(options=limited()))
    store.release(claimed.fence)

    row = world.row(claimed.fence.execution_id)
    assert (row.deadline_at, row.wake_at) == (None, None)


def test_without_a_limit_there_is_none(world: World, store: RunStore) -> None:
    claimed = begun(world, store, timeout_ms=0)
    store.release(claimed.fence)

    row = world.row(claimed.fence.execution_id)
    assert (row.deadline_at, row.wake_at) == (None, None)


def park(world: World, store: RunStore, wake_in_s: int | None) -> str:
    claimed = begun(world, store)
    wake_at = None if wake_in_s is None else world.now() + timedelta(seconds=wake_in_s)
    parked = store.park(claimed.fence, claimed.writes + 1, claimed.wake, "{}", wake_at)
    assert parked == Parked()
    return str(claimed.fence.execution_id)


@pytest.mark.parametrize(("wake_in_s", "is_first"), [(None, True), (90, True), (30, False)])
def test_who_parks_is_woken_by_what_comes_first(
    world: World, store: RunStore, wake_in_s: int | None, is_first: bool
) -> None:
    row = world.row(park(world, store, wake_in_s))

    assert (row.wake_at == row.deadline_at) == is_first
    assert row.wake_at <= row.deadline_at


def test_who_is_parked_beyond_its_deadline_fails(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    late, early = park(world, store, None), park(world, store, 30)
    pass_time(world, late, 60_000)
    pass_time(world, early, 30_000)
    epoch = world.row(late).epoch

    assert sweeps.fire_timers(10, 1000) == Fired([early], True, None)
    assert ids(sweeps.end_overdue(10)) == [late]

    row = world.row(late)
    assert (row.status, row.error_message, row.wake_at) == ("failed", LATE, None)
    assert row.epoch == epoch + 1
    (failed, data), (ended, _) = last_events(world, late)
    assert [failed, ended] == ENDED
    assert data["error"] == {"type": "FlowTimeout", "message": LATE}
    assert 60_000 <= data["executionTimeMs"] < 90_000
    assert sweeps.end_overdue(10) == []
    assert not sweeps.fire_timers(10, 1000).are_over


def test_a_timer_that_fired_leaves_the_deadline_to_come(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    """Runnable, and taken by nobody until its time is up."""
    execution = park(world, store, 30)
    pass_time(world, execution, 30_000)
    assert sweeps.fire_timers(10, 0).ids == [execution]
    row = world.row(execution)
    assert row.wake_at == row.deadline_at

    pass_time(world, execution, 30_000)

    assert ids(sweeps.end_overdue(10)) == [execution]
    assert store.claim("w1", "t", 1000, execution) is None


@pytest.mark.parametrize("how", ["released", "recovered", "taken"])
def test_who_loses_its_owner_keeps_its_deadline(
    world: World, store: RunStore, sweeps: PgSweepStore, how: str
) -> None:
    claimed = begun(world, store)
    execution = claimed.fence.execution_id
    if how == "released":
        store.release(claimed.fence)
    elif how == "taken":
        assert TakeoverTable(world.database).take_over(execution, "somebody") is not None
    else:
        store.abandon(claimed.fence, "w1", 5)
    row = world.row(execution)
    assert row.wake_at == row.deadline_at

    again = claim(store, execution)
    assert again.deadline_in_ms is not None
    assert 30_000 < again.deadline_in_ms <= 60_000
    assert world.row(execution).wake_at is None


def test_an_owner_is_left_to_keep_the_time_itself(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    late, much_too_late = begun(world, store), begun(world, store)
    pass_time(world, late.fence.execution_id, 61_000)
    pass_time(world, much_too_late.fence.execution_id, 90_000)

    assert sweeps.end_overdue(10) == []
    [effect] = sweeps.end_overrun(10, 20_000)

    assert effect.execution_id == much_too_late.fence.execution_id
    assert list(effect.owners) == ["w1"]
    assert store.holds(late.fence)
    assert not store.holds(much_too_late.fence)
    assert world.row(effect.execution_id).error_message == LATE


def test_what_is_over_has_no_deadline(world: World, store: RunStore, sweeps: PgSweepStore) -> None:
    claimed = begun(world, store)
    write(store, claimed, 1, DONE)
    pass_time(world, claimed.fence.execution_id, 90_000)

    assert sweeps.end_overdue(10) == []
    assert sweeps.end_overrun(10, 0) == []
    assert world.row(claimed.fence.execution_id).status == "completed"


def test_with_a_flow_all_that_descends_from_it_ends(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    parent = park(world, store, None)
    child, done = begun(world, store), begun(world, store)
    grandchild = world.create()
    write(store, done, 1, DONE)
    world.adopt(child.fence.execution_id, parent)
    world.adopt(done.fence.execution_id, parent)
    world.adopt(grandchild, child.fence.execution_id)
    pass_time(world, parent, 60_000)

    effects = sweeps.end_overdue(10)

    assert ids(effects) == [parent, child.fence.execution_id, grandchild]
    for each in (child.fence.execution_id, grandchild):
        assert (world.row(each).status, world.row(each).error_message) == (
            "stopped",
            "parent failed",
        )
    assert world.row(done.fence.execution_id).status == "completed"


# -- while it is paused


def test_a_pause_holds_the_time_and_resume_lets_it_run_on(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    execution = park(world, store, 30)
    pass_time(world, execution, 20_000)
    commands = world.commands()
    commands.pause(execution, "lunch")

    row = world.row(execution)
    assert (row.deadline_at, row.wake_at) == (None, None)
    assert 30_000 < row.deadline_left_ms <= 40_000
    left = timedelta(milliseconds=row.deadline_left_ms)
    assert sweeps.end_overdue(10) == []

    before = world.now()
    commands.resume(execution)

    row = world.row(execution)
    assert before + left <= row.deadline_at <= world.now() + left
    assert (row.wake_at, row.deadline_left_ms) == (row.deadline_at, None)


def test_an_owner_that_pauses_holds_the_time(world: World, store: RunStore) -> None:
    claimed = begun(world, store)
    execution = claimed.fence.execution_id
    pass_time(world, execution, 20_000)

    write(store, claimed, 1, boundary("flow:paused", pausing=Pausing()))

    row = world.row(execution)
    assert (row.status, row.deadline_at) == ("paused", None)
    assert 30_000 < row.deadline_left_ms <= 40_000


def test_a_pause_before_anything_holds_all_of_the_time(world: World, store: RunStore) -> None:
    """At a breakpoint of the first node, say: the statement that begins the run pauses it."""
    claimed = claim(store, world.create(options=limited(1234)))
    execution = claimed.fence.execution_id

    write(store, claimed, 0, boundary("flow:started", "flow:paused", pausing=Pausing()))

    row = world.row(execution)
    assert (row.status, row.deadline_at, row.deadline_left_ms) == ("paused", None, 1234)
    world.commands().resume(execution)
    assert claim(store, execution).deadline_in_ms is not None


def test_a_pause_without_a_limit_holds_nothing(world: World, store: RunStore) -> None:
    claimed = begun(world, store, timeout_ms=0)
    execution = claimed.fence.execution_id
    store.release(claimed.fence)
    world.commands().pause(execution, "lunch")
    assert world.row(execution).deadline_left_ms is None

    world.commands().resume(execution)

    assert (world.row(execution).deadline_at, world.row(execution).wake_at) == (None, None)
