"""The sweep's statements on PostgreSQL."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from app.store.records import Claimed, Void
from app.store.runs import PgRunStore
from app.store.sweeps import LostClaim, PgSweepStore
from tests.integration.store.boundaries import DONE, boundary, checkpoint, claim, write
from tests.world import PgWorld

MOST = 5


@pytest.fixture
def sweeps(pg: PgWorld) -> Iterator[PgSweepStore]:
    store = PgSweepStore(pg.database, "sweeper")
    yield store
    store.close()


@pytest.fixture
def store(pg: PgWorld) -> PgRunStore:
    return pg.open()


@pytest.fixture
def claimed(pg: PgWorld, store: PgRunStore) -> Claimed:
    claimed = claim(store, pg.create())
    write(store, claimed, 0, boundary("flow:started"))
    return claimed


def lost(claimed: Claimed) -> LostClaim:
    return LostClaim(claimed.fence.execution_id, claimed.fence.epoch, "w1")


# -- recovery


def test_a_recovered_execution_is_anybodys_to_go_on_with(
    pg: PgWorld, store: PgRunStore, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id

    recovered = sweeps.recover(lost(claimed), "worker_died", MOST)

    assert recovered is not None
    assert (recovered.reason, recovered.previous_worker_id) == ("worker_died", "w1")
    assert not recovered.ended
    row = pg.row(execution)
    assert (row.status, row.epoch, row.processing_worker_id) == ("running", 2, None)
    assert row.runnable_at is not None
    assert (row.failure_count, row.last_failure_reason) == (1, "worker_died")
    assert row.last_failure_at is not None
    lease = pg.claim_of(execution)
    assert lease is not None
    assert lease.status == "expired"
    [audit] = pg.recoveries(execution)
    assert (audit.recovered_by_worker, audit.recovery_reason) == ("sweeper", "worker_died")
    assert (audit.previous_status, audit.previous_worker_id) == ("running", "w1")
    index, type_, data = pg.events(execution)[-1]
    assert [(index, type_, data)] == list(recovered.events)
    assert (index, type_) == (row.last_event_index, "execution:recovered") == (1, type_)
    assert json.loads(data) == {
        "reason": "worker_died",
        "previousWorkerId": "w1",
        "workerId": "sweeper",
    }
    assert store.write(claimed.fence, claimed.writes + 1, boundary("x")) == Void()
    assert claim(pg.open(), execution, "w2").fence.epoch == 3


def test_an_execution_is_recovered_by_one_of_many_at_once(pg: PgWorld, claimed: Claimed) -> None:
    taken: list[object] = []

    def sweep(number: int) -> None:
        store = PgSweepStore(pg.database, f"sweeper {number}")
        if recovered := store.recover(lost(claimed), "worker_died", MOST):
            taken.append(recovered)
        store.close()

    threads = [threading.Thread(target=sweep, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 1
    assert len(pg.recoveries(claimed.fence.execution_id)) == 1
    assert pg.row(claimed.fence.execution_id).failure_count == 1


def test_what_went_on_or_ended_is_not_recovered(
    pg: PgWorld, store: PgRunStore, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    pg.take_over(claimed.fence.execution_id)
    ended = claim(store, pg.create())
    write(store, ended, 0, DONE)
    before = [pg.row(each.fence.execution_id) for each in (claimed, ended)]

    for each in (claimed, ended):
        for most in (MOST, 0):
            assert sweeps.recover(lost(each), "expired_claim", most) is None

    assert [pg.row(each.fence.execution_id) for each in (claimed, ended)] == before


def crash(pg: PgWorld, sweeps: PgSweepStore, execution: str, reason: str = "worker_died") -> bool:
    """Claim it and be lost; whether it was given up."""
    store = pg.open()
    claimed = claim(store, execution)
    store.close()
    recovered = sweeps.recover(lost(claimed), reason, MOST)
    assert recovered is not None
    return recovered.ended


def test_what_crashes_too_often_is_failed_for_good(pg: PgWorld, sweeps: PgSweepStore) -> None:
    execution = pg.create()

    outcomes = [crash(pg, sweeps, execution) for _ in range(MOST)]

    assert outcomes == [False] * (MOST - 1) + [True]
    row = pg.row(execution)
    assert (row.status, row.failure_count, row.runnable_at) == ("failed", MOST, None)
    assert row.completed_at is not None
    assert row.started_at is not None
    assert row.error_message == "given up: its worker was lost 5 times since the last checkpoint"
    events = pg.events(execution)
    assert [index for index, _, _ in events] == list(range(-1, MOST + 1))
    assert [type_ for _, type_, _ in events[-3:]] == [
        "execution:recovered",
        "flow:failed",
        "execution:failed",
    ]
    ended = json.loads(events[-1][2])
    assert ended == {
        "executionTimeMs": ended["executionTimeMs"],
        "errorMessage": row.error_message,
        "errorNodeId": None,
    }
    assert json.loads(events[-2][2])["error"] == {
        "type": "WorkerLost",
        "message": row.error_message,
    }
    assert ended["executionTimeMs"] >= 0
    lease = pg.claim_of(execution)
    assert lease is not None
    assert lease.status == "expired"
    assert pg.open().claim("w1", "t", 1000, execution) is None
    assert len(pg.recoveries(execution)) == MOST


def test_a_checkpoint_forgives_the_crashes_before_it(pg: PgWorld, sweeps: PgSweepStore) -> None:
    execution = pg.create()
    for seq in range(3):
        for _ in range(MOST - 1):
            assert not crash(pg, sweeps, execution)
        store = pg.open()
        claimed = claim(store, execution)
        write(store, claimed, 0, boundary(checkpoints=[checkpoint(f"n{seq}", seq=seq)]))
        store.release(claimed.fence)

    row = pg.row(execution)
    assert (row.status, row.failure_count, row.crashes) == ("running", 3 * (MOST - 1), 0)


def test_events_alone_forgive_nothing(pg: PgWorld, sweeps: PgSweepStore) -> None:
    execution = pg.create()
    crash(pg, sweeps, execution)
    store = pg.open()
    claimed = claim(store, execution)
    write(store, claimed, 0, boundary("node:started"))
    store.release(claimed.fence)

    assert pg.row(execution).crashes == 1


@pytest.mark.parametrize("reason", ["no_claim", "requested"])
def test_what_is_nobodys_fault_counts_as_no_crash(
    pg: PgWorld, sweeps: PgSweepStore, reason: str
) -> None:
    execution = pg.create()

    outcomes = [crash(pg, sweeps, execution, reason) for _ in range(MOST + 1)]

    assert outcomes == [False] * (MOST + 1)
    assert (pg.row(execution).failure_count, pg.row(execution).crashes) == (0, 0)


# -- what is lost


def test_only_what_nobody_renewed_in_time_has_expired(
    pg: PgWorld, store: PgRunStore, sweeps: PgSweepStore
) -> None:
    fresh, overdue, ended, parked = (claim(store, pg.create()) for _ in range(4))
    write(store, ended, 0, DONE)
    store.park(parked.fence, 0, 0, "{}", None)
    pg.execute(
        "UPDATE chaingraph_execution_claims SET expires_at = clock_timestamp() - interval '1 ms'"
        " WHERE execution_id = %s",
        overdue.fence.execution_id,
    )

    assert sweeps.expired(10) == [lost(overdue)]
    assert store.holds(fresh.fence)


def test_expired_claims_come_in_bounded_batches_the_oldest_first(
    pg: PgWorld, store: PgRunStore, sweeps: PgSweepStore
) -> None:
    claims = [claim(store, pg.create()) for _ in range(4)]
    for age, each in enumerate(claims):
        pg.execute(
            "UPDATE chaingraph_execution_claims SET expires_at ="
            " clock_timestamp() - %s * interval '1 s' WHERE execution_id = %s",
            age + 1,
            each.fence.execution_id,
        )

    assert sweeps.expired(3) == [lost(each) for each in reversed(claims[1:])]


def test_claims_of_the_dead_are_theirs_alone_and_active(
    pg: PgWorld, store: PgRunStore, sweeps: PgSweepStore
) -> None:
    mine, ended = claim(store, pg.create()), claim(store, pg.create())
    claim(pg.open(), pg.create(), "w2")
    write(store, ended, 0, DONE)

    assert sweeps.claims_of(["w1", "w3"], 10) == [lost(mine)]
    assert sweeps.claims_of([], 10) == []


# -- timers


def park(pg: PgWorld, store: PgRunStore, due_in_ms: int) -> str:
    claimed = claim(store, pg.create())
    execution = claimed.fence.execution_id
    wake_at = pg.one("SELECT clock_timestamp() + %s * interval '1 ms'", due_in_ms)
    store.park(claimed.fence, 0, 0, '{"for":"retry"}', wake_at)
    return execution


def test_what_waits_for_a_time_is_runnable_once_it_has_come(
    pg: PgWorld, store: PgRunStore, sweeps: PgSweepStore
) -> None:
    late, later = park(pg, store, -1), park(pg, store, 60_000)

    assert sweeps.fire_timers(10) == [late]
    assert sweeps.fire_timers(10) == []

    row = pg.row(late)
    assert row.runnable_at is not None
    assert (row.wake, row.wake_at, row.waiting) == (1, None, None)
    assert pg.row(later).runnable_at is None
    assert claim(store, late).wake == 1


def test_timers_fire_in_bounded_batches_the_oldest_first(
    pg: PgWorld, store: PgRunStore, sweeps: PgSweepStore
) -> None:
    parked = [park(pg, store, -10 * number) for number in range(1, 5)]

    assert sorted(sweeps.fire_timers(3)) == sorted(parked[1:])
    assert sweeps.fire_timers(3) == parked[:1]


def test_a_timer_that_another_holds_is_passed_by(
    pg: PgWorld, store: PgRunStore, sweeps: PgSweepStore
) -> None:
    held, free = park(pg, store, -20), park(pg, store, -10)
    beside = pg.connect()
    beside.autocommit = False
    with beside.cursor() as cursor:
        cursor.execute("SELECT 1 FROM chaingraph_executions WHERE id = %s FOR UPDATE", (held,))
    assert sweeps.fire_timers(10) == [free]
    beside.close()


def test_the_next_timer_is_told_where_it_is_near(
    pg: PgWorld, store: PgRunStore, sweeps: PgSweepStore
) -> None:
    assert sweeps.next_timer_ms(1000) is None
    park(pg, store, 60_000)
    assert sweeps.next_timer_ms(1000) is None
    due = sweeps.next_timer_ms(100_000)
    assert due is not None
    assert 50_000 < due <= 60_000
    park(pg, store, -5)
    assert sweeps.next_timer_ms(1000) == 0


# -- what lies


def test_what_lies_for_long_is_told_in_the_order_of_claiming(
    pg: PgWorld, store: PgRunStore, sweeps: PgSweepStore
) -> None:
    low, first, second, high = (
        pg.create(priority=0),
        pg.create(),
        pg.create(),
        pg.create(priority=9),
    )
    pg.create(start=False)
    assert sweeps.left_lying(60_000, 10) == []
    pg.execute("UPDATE chaingraph_executions SET runnable_at = runnable_at - interval '90 s'")
    fresh = pg.create(priority=9)
    claim(store, second)

    assert sweeps.left_lying(60_000, 10) == [high, first, low]
    assert sweeps.left_lying(60_000, 2) == [high, first]
    assert fresh not in sweeps.left_lying(60_000, 10)


# -- the beat


@pytest.mark.parametrize("is_first", [True, False])
def test_of_many_at_once_one_takes_the_beat(pg: PgWorld, is_first: bool) -> None:
    if not is_first:
        pg.execute("INSERT INTO chaingraph_beat VALUES (1, '2020-01-01', 'earlier')")
    stores = [PgSweepStore(pg.database, f"s{number}") for number in range(12)]
    ready = threading.Barrier(len(stores))
    taken: list[int] = []

    def take(number: int) -> None:
        stores[number].silent()
        ready.wait()
        if stores[number].take_beat(60_000):
            taken.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 1
    assert pg.one("SELECT worker_id FROM chaingraph_beat") == f"s{taken[0]}"
    for each in stores:
        each.close()


def test_the_beat_is_due_again_after_its_interval(pg: PgWorld, sweeps: PgSweepStore) -> None:
    assert sweeps.take_beat(60_000)
    assert not sweeps.take_beat(60_000)
    pg.execute("UPDATE chaingraph_beat SET swept_at = swept_at - interval '61 s'")
    assert sweeps.take_beat(60_000)
