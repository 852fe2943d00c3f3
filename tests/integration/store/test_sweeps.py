"""The suite that every store passes: the sweep."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest

from app.store.protocol import RunStore
from app.store.records import Claimed, Void
from app.store.sweeps import Fired, LostClaim, PgSweepStore
from tests.integration.store.boundaries import DONE, boundary, checkpoint, claim, write
from tests.world import PgWorld, World

MOST = 5


CLAIMS = "chaingraph_execution_claims"


@pytest.fixture
def sweeps(world: World) -> PgSweepStore:
    return world.sweeps("sweeper")


@pytest.fixture
def claimed(world: World, store: RunStore) -> Claimed:
    claimed = claim(store, world.create())
    write(store, claimed, 0, boundary("flow:started"))
    return claimed


def lost(claimed: Claimed) -> LostClaim:
    return LostClaim(claimed.fence.execution_id, claimed.fence.epoch, "w1")


# -- recovery


def test_a_recovered_execution_is_anybodys_to_go_on_with(
    world: World, store: RunStore, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id

    recovered = sweeps.recover(lost(claimed), "worker_died", MOST)

    assert recovered is not None
    assert (recovered.reason, recovered.previous_worker_id) == ("worker_died", "w1")
    assert not recovered.ended
    row = world.row(execution)
    assert (row.status, row.epoch, row.processing_worker_id) == ("running", 2, None)
    assert row.runnable_at is not None
    assert (row.failure_count, row.last_failure_reason) == (1, "worker_died")
    assert row.last_failure_at is not None
    lease = world.claim_of(execution)
    assert lease is not None
    assert lease.status == "expired"
    [audit] = world.recoveries(execution)
    assert (audit.recovered_by_worker, audit.recovery_reason) == ("sweeper", "worker_died")
    assert (audit.previous_status, audit.previous_worker_id) == ("running", "w1")
    index, type_, data = world.events(execution)[-1]
    assert [(index, type_, data)] == list(recovered.events)
    assert (index, type_) == (row.last_event_index, "execution:recovered") == (1, type_)
    assert json.loads(data) == {
        "reason": "worker_died",
        "previousWorkerId": "w1",
        "workerId": "sweeper",
    }
    assert store.write(claimed.fence, claimed.writes + 1, boundary("x")) == Void()
    assert claim(world.open(), execution, "w2").fence.epoch == 3


def test_an_execution_is_recovered_by_one_of_many_at_once(world: World, claimed: Claimed) -> None:
    taken: list[object] = []

    def sweep(number: int) -> None:
        store = world.sweeps(f"sweeper {number}")
        if recovered := store.recover(lost(claimed), "worker_died", MOST):
            taken.append(recovered)
        store.close()

    threads = [threading.Thread(target=sweep, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 1
    assert len(world.recoveries(claimed.fence.execution_id)) == 1
    assert world.row(claimed.fence.execution_id).failure_count == 1


def test_what_went_on_or_ended_is_not_recovered(
    world: World, store: RunStore, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    world.take_over(claimed.fence.execution_id)
    ended = claim(store, world.create())
    write(store, ended, 0, DONE)
    before = [world.row(each.fence.execution_id) for each in (claimed, ended)]

    for each in (claimed, ended):
        for most in (MOST, 0):
            assert sweeps.recover(lost(each), "expired_claim", most) is None

    assert [world.row(each.fence.execution_id) for each in (claimed, ended)] == before


def crash(world: World, sweeps: PgSweepStore, execution: str, reason: str = "worker_died") -> bool:
    """Claim it, grant a node, and be lost; whether it was given up."""
    store = world.open()
    claimed = claim(store, execution)
    grants = f'{{"a": {claimed.fence.epoch}}}'
    write(store, claimed, 0, boundary("node:started", grants=grants))
    recovered = sweeps.recover(lost(claimed), reason, MOST)
    assert recovered is not None
    return recovered.ended


def test_what_crashes_too_often_is_failed_for_good(world: World, sweeps: PgSweepStore) -> None:
    execution = world.create()

    outcomes = [crash(world, sweeps, execution) for _ in range(MOST)]

    assert outcomes == [False] * (MOST - 1) + [True]
    row = world.row(execution)
    assert (row.status, row.failure_count, row.runnable_at) == ("failed", MOST, None)
    assert row.completed_at is not None
    assert row.started_at is not None
    attempt = world.row(execution).epoch - 1
    assert row.error_message == (
        "given up: its worker was lost 5 times since the last checkpoint,"
        f" while node 'a' ran (attempt {attempt}); lost: w1, w1, w1, w1, w1"
    )
    assert row.error_node_id == "a"
    events = world.events(execution)
    assert [index for index, _, _ in events] == list(range(-1, 2 * MOST + 1))
    assert [type_ for _, type_, _ in events[-3:]] == [
        "node:started",
        "flow:failed",
        "execution:failed",
    ]
    ended = json.loads(events[-1][2])
    assert ended == {
        "executionTimeMs": ended["executionTimeMs"],
        "errorMessage": row.error_message,
        "errorNodeId": "a",
    }
    assert json.loads(events[-2][2])["error"] == {
        "type": "WorkerLost",
        "message": row.error_message,
    }
    assert ended["executionTimeMs"] >= 0
    lease = world.claim_of(execution)
    assert lease is not None
    assert lease.status == "expired"
    assert world.open().claim("w1", "t", 1000, execution) is None
    assert len(world.recoveries(execution)) == MOST


def test_what_is_given_up_without_a_node_names_none(world: World, sweeps: PgSweepStore) -> None:
    execution = world.create()
    fence = claim(world.open(), execution, "w7").fence

    sweeps.recover(LostClaim(execution, fence.epoch, "w7"), "worker_died", 1)

    row = world.row(execution)
    assert row.error_message == (
        "given up: its worker was lost 1 times since the last checkpoint; lost: w7"
    )
    assert row.error_node_id is None


def test_of_many_nodes_that_ran_none_is_blamed_and_all_are_named(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    claimed = claim(store, world.create())
    write(store, claimed, 0, boundary("node:started", grants='{"a": 1, "b": 2}'))

    sweeps.recover(lost(claimed), "worker_died", 1)

    row = world.row(claimed.fence.execution_id)
    assert "while node 'a' ran (attempt 1), node 'b' ran (attempt 2);" in row.error_message
    assert row.error_node_id is None


def test_what_descends_from_what_is_given_up_is_stopped_and_told(
    world: World, store: RunStore, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    child = world.create()
    world.adopt(child, claimed.fence.execution_id)
    claim(world.open(), child, "w2")

    recovered = sweeps.recover(lost(claimed), "worker_died", 1)

    assert recovered is not None
    [stopped] = recovered.stopped
    assert (stopped.execution_id, list(stopped.owners)) == (child, ["w2"])
    assert stopped.told is not None
    assert [type_ for type_, _ in stopped.told.events] == ["flow:cancelled", "execution:stopped"]
    assert world.row(child).status == "stopped"


def test_a_checkpoint_forgives_the_crashes_before_it(world: World, sweeps: PgSweepStore) -> None:
    execution = world.create()
    for seq in range(3):
        for _ in range(MOST - 1):
            assert not crash(world, sweeps, execution)
        store = world.open()
        claimed = claim(store, execution)
        write(store, claimed, 0, boundary(checkpoints=[checkpoint(f"n{seq}", seq=seq)]))
        store.release(claimed.fence)

    row = world.row(execution)
    assert (row.status, row.failure_count, row.crashes) == ("running", 3 * (MOST - 1), 0)


def test_events_alone_forgive_nothing(world: World, sweeps: PgSweepStore) -> None:
    execution = world.create()
    crash(world, sweeps, execution)
    store = world.open()
    claimed = claim(store, execution)
    write(store, claimed, 0, boundary("node:started"))
    store.release(claimed.fence)

    assert world.row(execution).crashes == 1


@pytest.mark.parametrize("reason", ["no_claim", "requested"])
def test_what_is_nobodys_fault_counts_as_no_crash(
    world: World, sweeps: PgSweepStore, reason: str
) -> None:
    execution = world.create()

    outcomes = [crash(world, sweeps, execution, reason) for _ in range(MOST + 1)]

    assert outcomes == [False] * (MOST + 1)
    assert (world.row(execution).failure_count, world.row(execution).crashes) == (0, 0)


# -- what is lost


def expire(world: World, claimed: Claimed, ago: timedelta) -> None:
    claim = {"execution_id": claimed.fence.execution_id}
    world.change(CLAIMS, claim, expires_at=world.now() - ago)


def test_only_what_nobody_renewed_in_time_has_expired(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    fresh, overdue, ended, parked = (claim(store, world.create()) for _ in range(4))
    write(store, ended, 0, DONE)
    store.park(parked.fence, parked.writes, 0, "{}", None)
    expire(world, overdue, timedelta(milliseconds=1))

    assert sweeps.expired(10) == [lost(overdue)]
    assert store.holds(fresh.fence)


def test_expired_claims_come_in_bounded_batches_the_oldest_first(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    claims = [claim(store, world.create()) for _ in range(4)]
    for age, each in enumerate(claims):
        expire(world, each, timedelta(seconds=age + 1))

    assert sweeps.expired(3) == [lost(each) for each in reversed(claims[1:])]


def test_claims_of_the_dead_are_theirs_alone_and_active(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    mine, ended = claim(store, world.create()), claim(store, world.create())
    claim(world.open(), world.create(), "w2")
    write(store, ended, 0, DONE)

    assert sweeps.claims_of(["w1", "w3"], 10) == [lost(mine)]
    assert sweeps.claims_of([], 10) == []


# -- timers


def park(world: World, store: RunStore, due_in_ms: int) -> str:
    claimed = claim(store, world.create())
    execution = claimed.fence.execution_id
    wake_at = world.now() + timedelta(milliseconds=due_in_ms)
    store.park(claimed.fence, claimed.writes, 0, '{"for":"retry"}', wake_at)
    return execution


def test_what_waits_for_a_time_is_runnable_once_it_has_come(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    late, later = park(world, store, -1), park(world, store, 60_000)

    assert sweeps.fire_timers(10, 0).ids == [late]
    assert sweeps.fire_timers(10, 0).ids == []

    row = world.row(late)
    assert row.runnable_at is not None
    assert (row.wake, row.wake_at, row.waiting) == (1, None, None)
    assert world.row(later).runnable_at is None
    assert claim(store, late).wake == 1


def test_timers_fire_in_bounded_batches_the_oldest_first(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    parked = [park(world, store, -10_000 * number) for number in range(1, 5)]

    first, rest = sweeps.fire_timers(3, 1000), sweeps.fire_timers(3, 1000)

    assert sorted(first.ids) == sorted(parked[1:])
    assert first.next_ms == 0
    assert rest == Fired(parked[:1], False, None)


def test_a_time_of_what_is_over_takes_no_timers_place(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    over, late = park(world, store, -20_000), park(world, store, -10_000)
    times = {"completed_at": world.now(), "status": "failed"}
    world.change("chaingraph_executions", {"id": over}, **times)

    assert sweeps.fire_timers(2, 1000) == Fired([late], False, None)


def test_a_timer_that_another_holds_is_passed_by(pg: PgWorld) -> None:
    store, sweeps = pg.open(), pg.sweeps("sweeper")
    held, free = park(pg, store, -20_000), park(pg, store, -10_000)
    beside = pg.connect()
    beside.autocommit = False
    with beside.cursor() as cursor:
        cursor.execute("SELECT 1 FROM chaingraph_executions WHERE id = %s FOR UPDATE", (held,))
    assert sweeps.fire_timers(10, 0).ids == [free]
    beside.close()


def test_the_next_timer_is_told_where_it_is_near(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    assert sweeps.fire_timers(10, 1000) == Fired([], False, None)
    park(world, store, 60_000)
    assert sweeps.fire_timers(10, 1000) == Fired([], False, None)
    late = park(world, store, -5)

    fired = sweeps.fire_timers(10, 100_000)

    assert fired.ids == [late]
    assert fired.next_ms is not None
    assert 50_000 < fired.next_ms <= 60_000


# -- what lies


def lay_for(world: World, execution: str, time: timedelta) -> None:
    runnable_at = world.row(execution).runnable_at - time
    world.change("chaingraph_executions", {"id": execution}, runnable_at=runnable_at)


def test_what_lies_for_long_is_told_in_the_order_of_claiming(
    world: World, store: RunStore, sweeps: PgSweepStore
) -> None:
    low, first, second, high = (
        world.create(priority=0),
        world.create(),
        world.create(),
        world.create(priority=9),
    )
    world.create(start=False)
    assert sweeps.left_lying(60_000, 10) == []
    for each in (low, first, second, high):
        lay_for(world, each, timedelta(seconds=90))
    fresh = world.create(priority=9)
    claim(store, second)

    assert sweeps.left_lying(60_000, 10) == [high, first, low]
    assert sweeps.left_lying(60_000, 2) == [high, first]
    assert fresh not in sweeps.left_lying(60_000, 10)


# -- the beat


@pytest.mark.parametrize("is_first", [True, False])
def test_of_many_at_once_one_takes_the_beat(world: World, is_first: bool) -> None:
    if not is_first:
        assert world.sweeps("earlier").take_beat(60_000) == 0
        world.change("chaingraph_beat", {}, swept_at=world.now() - timedelta(seconds=61))
    stores = [world.sweeps(f"s{number}") for number in range(12)]
    ready = threading.Barrier(len(stores))
    taken: list[int] = []

    def take(number: int) -> None:
        stores[number].silent()
        ready.wait()
        if not stores[number].take_beat(60_000):
            taken.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 1
    assert world.rows("chaingraph_beat")[0].worker_id == f"s{taken[0]}"


def test_the_beat_is_due_again_after_its_interval(world: World, sweeps: PgSweepStore) -> None:
    assert sweeps.take_beat(60_000) == 0
    assert 0 < sweeps.take_beat(60_000) <= 60_000
    assert 60_000 < sweeps.take_beat(120_000) <= 120_000
    world.change("chaingraph_beat", {}, swept_at=world.now() - timedelta(seconds=61))
    assert sweeps.take_beat(60_000) == 0


def test_the_beat_of_who_has_died_is_inherited_by_one(world: World, sweeps: PgSweepStore) -> None:
    assert world.sweeps("dead").take_beat(60_000) == 0
    assert not sweeps.inherit_beat(["another"])

    first, second = world.sweeps("first"), world.sweeps("second")
    assert [each.inherit_beat(["another", "dead"]) for each in (first, second)] == [True, False]

    assert world.rows("chaingraph_beat")[0].worker_id == "first"
    assert 0 < second.take_beat(60_000) <= 60_000
