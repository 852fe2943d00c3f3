"""The suite that every store passes: a process's registration, its lock and its leases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest

from app.errors import StoreUnavailable
from app.store.leases import PgLeaseStore
from app.store.protocol import RunStore
from app.store.records import Fence, Renewed, WorkerRow
from app.store.sweeps import PgSweepStore
from tests.integration.store.boundaries import DONE, LEASE_MS, claim, write
from tests.waiting import wait_until
from tests.world import PgWorld, World

NewLeases = Callable[..., PgLeaseStore]

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CLAIMS = "chaingraph_execution_claims"
WORKERS = "chaingraph_workers"


@pytest.fixture
def new_leases(world: World) -> NewLeases:
    def make(worker_id: str = "w1", lock_key: int = 7, **more: Any) -> PgLeaseStore:
        fields: dict[str, Any] = {
            "parent_worker_id": None,
            "hostname": "host",
            "pid": 1,
            "pool": "threads",
            "concurrency": 3,
            "queues": ["default"],
            "lease_ms": LEASE_MS,
        }
        return world.leases(WorkerRow(worker_id=worker_id, lock_key=lock_key, **fields | more))

    return make


@pytest.fixture
def leases(new_leases: NewLeases) -> PgLeaseStore:
    leases = new_leases()
    leases.register()
    return leases


@pytest.fixture
def sweeps(world: World) -> PgSweepStore:
    return world.sweeps("sweeper")


def age_claims(world: World, seconds: int = 60) -> None:
    age = timedelta(seconds=seconds)
    for row in world.rows(CLAIMS):
        times = {
            name: getattr(row, name) - age for name in ("claimed_at", "heartbeat_at", "expires_at")
        }
        world.change(CLAIMS, {"execution_id": row.execution_id}, **times)


# -- renewal


def test_a_renewal_prolongs_the_lease(world: World, store: RunStore, leases: PgLeaseStore) -> None:
    claimed = claim(store, world.create())
    age_claims(world)

    assert leases.renew([claimed.fence]) == [Renewed(claimed.fence, None)]

    lease = world.claim_of(claimed.fence.execution_id)
    assert lease is not None
    left = lease.expires_at - world.now()
    assert timedelta(0) < timedelta(milliseconds=LEASE_MS) - left < timedelta(seconds=1)


def test_a_renewal_gives_only_what_still_holds(
    world: World, store: RunStore, leases: PgLeaseStore
) -> None:
    held, taken, ended, parked, released, older = (claim(store, world.create()) for _ in range(6))
    foreign = claim(world.open(), world.create(), "w2")
    world.take_over(taken.fence.execution_id)
    write(store, ended, 0, DONE)
    store.park(parked.fence, parked.writes, 0, "{}", None)
    store.release(released.fence)
    again = Fence(older.fence.execution_id, older.fence.epoch - 1)
    fences = [each.fence for each in (held, taken, ended, parked, released, foreign)]

    assert leases.renew([*fences, again]) == [Renewed(held.fence, None)]


def test_a_renewal_of_nothing_is_a_heartbeat(world: World, leases: PgLeaseStore) -> None:
    world.change(WORKERS, {}, last_heartbeat_at=LONG_AGO)

    assert leases.renew([]) == []

    [row] = world.rows(WORKERS)
    assert world.now() - row.last_heartbeat_at < timedelta(seconds=1)


def test_a_renewal_tells_what_is_requested(
    world: World, store: RunStore, leases: PgLeaseStore
) -> None:
    claimed = claim(store, world.create())
    world.request(claimed.fence.execution_id, "pause")

    assert leases.renew([claimed.fence]) == [Renewed(claimed.fence, "pause")]


# -- strays


def test_what_nothing_runs_is_released_for_others(
    world: World, store: RunStore, leases: PgLeaseStore
) -> None:
    stray, running, foreign = (
        claim(store, world.create()),
        claim(store, world.create()),
        claim(world.open(), world.create(), "w2"),
    )
    age_claims(world, 2)

    strays = leases.strays([running.fence])
    leases.release(strays)

    assert strays == [stray.fence]
    assert not store.holds(stray.fence)
    assert store.holds(running.fence)
    assert store.holds(foreign.fence)
    assert claim(world.open(), stray.fence.execution_id, "w2").fence.epoch > stray.fence.epoch
    assert world.recoveries(stray.fence.execution_id) == []


def test_what_was_claimed_a_moment_ago_is_no_stray(
    world: World, store: RunStore, leases: PgLeaseStore
) -> None:
    claim(store, world.create())

    assert leases.strays([]) == []


# -- the lock


def test_a_registered_process_holds_its_lock(
    world: World, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    assert world.is_locked(7)
    assert sweeps.unlocked() == set()
    [row] = world.rows(WORKERS)
    assert (row.worker_id, row.status, row.queues, row.lock_key) == (
        "w1",
        "running",
        ["default"],
        7,
    )
    assert row.lock_server_started_at == world.server_started_at()


@pytest.mark.parametrize(
    "lock_key", [0, -1, 2**63 - 1, -(2**63), 1 << 32, (1 << 32) - 1, -(1 << 32)]
)
def test_every_key_is_told_from_a_lock_that_is_free(
    world: World, new_leases: NewLeases, sweeps: PgSweepStore, lock_key: int
) -> None:
    leases = new_leases("w9", lock_key)
    leases.register()
    assert sweeps.unlocked() == set()

    world.cut_off(leases)

    assert sweeps.unlocked() == {"w9"}


def test_a_process_is_alive_until_its_connection_is_gone(
    world: World, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    world.change(WORKERS, {}, last_heartbeat_at=LONG_AGO)
    assert sweeps.unlocked() == set()

    leases.close()

    wait_until(lambda: sweeps.unlocked() == {"w1"}, "its lock is free")


def test_a_lock_of_another_database_is_none(pg: PgWorld, postgres_url: str) -> None:
    leases = pg.leases(WorkerRow("w1", None, "host", 1, "threads", 3, ["default"], LEASE_MS, 7))
    leases.register()
    elsewhere = psycopg2.connect(postgres_url)
    with elsewhere.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(7)")
    pg.cut_off(leases)

    assert pg.sweeps("sweeper").unlocked() == {"w1"}
    elsewhere.close()


def test_a_lock_of_an_earlier_server_tells_nothing(
    world: World, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    world.cut_off(leases)
    for earlier in (LONG_AGO, None):
        world.change(WORKERS, {}, lock_server_started_at=earlier)

        assert sweeps.unlocked() == set()


def test_a_process_that_was_cut_off_takes_its_lock_anew(
    world: World, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    world.cut_off(leases)
    with pytest.raises(StoreUnavailable):
        leases.renew([])

    leases.register()

    assert sweeps.unlocked() == set()
    assert world.is_locked(7)


def test_a_process_that_was_forgotten_is_known_again_once_it_is_back(
    world: World, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    world.cut_off(leases)
    sweeps.unregister(["w1"])
    with pytest.raises(StoreUnavailable):
        leases.renew([])

    leases.register()

    assert [row.worker_id for row in world.rows(WORKERS)] == ["w1"]
    assert sweeps.unlocked() == set()


def test_while_the_old_connection_lingers_the_process_is_not_taken_for_dead(
    world: World, new_leases: NewLeases, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    reconnected = new_leases()
    reconnected.register()
    assert world.rows(WORKERS)[0].lock_server_started_at is None

    world.cut_off(leases)
    assert sweeps.unlocked() == set()
    reconnected.register()

    assert world.rows(WORKERS)[0].lock_server_started_at is not None
    assert sweeps.unlocked() == set()
    assert world.is_locked(7)


def test_a_process_that_ends_in_good_order_is_forgotten(
    world: World, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    leases.set_status("draining")
    assert world.rows(WORKERS)[0].status == "draining"

    leases.unregister()
    leases.close()

    assert world.rows(WORKERS) == []
    assert sweeps.unlocked() == set()


def test_a_process_with_the_name_of_one_before_it_says_what_it_is_itself(
    world: World, new_leases: NewLeases, leases: PgLeaseStore
) -> None:
    leases.set_status("draining")
    world.cut_off(leases)
    own = {"hostname": "new", "pid": 2, "pool": "solo", "concurrency": 1, "lease_ms": 5000}

    assert new_leases(**own, queues=["gpu"]).register()

    [row] = world.rows(WORKERS)
    assert {name: getattr(row, name) for name in own} == own
    assert (row.status, row.queues) == ("running", ["gpu"])


def test_a_process_registers_once_for_each_connection(world: World, leases: PgLeaseStore) -> None:
    assert not leases.register()

    world.cut_off(leases)
    with pytest.raises(StoreUnavailable):
        leases.renew([])

    assert leases.register()


# -- what nobody hears of any more


def silence(world: World, leases_ago: float) -> None:
    ago = timedelta(milliseconds=leases_ago * LEASE_MS)
    world.change(WORKERS, {}, last_heartbeat_at=world.now() - ago)


def test_a_process_of_a_server_gone_for_good_is_silent_after_three_leases(
    world: World, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    world.change(WORKERS, {}, lock_server_started_at=LONG_AGO)
    silence(world, 2.9)
    assert sweeps.silent() == []

    silence(world, 3.1)

    assert sweeps.silent() == ["w1"]


def test_a_silent_process_that_owns_something_is_kept(
    world: World, store: RunStore, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    claim(store, world.create())
    world.change(WORKERS, {}, lock_server_started_at=None)
    silence(world, 4)

    assert sweeps.silent() == []


def test_a_frozen_process_that_holds_its_lock_stays_known(
    world: World, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    silence(world, 100)

    assert sweeps.silent() == []


def test_only_parents_that_are_heard_of_have_slots(
    world: World, new_leases: NewLeases, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    new_leases("w1/1", 8, parent_worker_id="w1", concurrency=1).register()
    new_leases("w2", 9, concurrency=4, queues=["default", "gpu"]).register()
    assert sweeps.slots() == {"default": 7, "gpu": 4}

    leases.set_status("draining")
    assert sweeps.slots() == {"default": 4, "gpu": 4}

    silence(world, 1.1)
    assert sweeps.slots() == {}


def test_each_worker_sweeps_in_turn_whatever_children_it_has(
    new_leases: NewLeases, sweeps: PgSweepStore
) -> None:
    assert sweeps.count_sweepers() == 0
    processes = [("w1", None), ("w1/1", "w1"), ("w1/2", "w1"), ("w2", None)]
    for lock_key, (name, parent) in enumerate(processes):
        new_leases(name, lock_key, parent_worker_id=parent).register()

    assert sweeps.count_sweepers() == 2
