"""A process's registration, its lock and its leases, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.store.leases import PgLeaseStore
from app.store.records import Fence, Renewed, WorkerRow
from app.store.runs import PgRunStore
from app.store.sweeps import PgSweepStore
from tests.integration.store.boundaries import DONE, LEASE_MS, claim, write
from tests.waiting import wait_until
from tests.world import PgWorld

NewLeases = Callable[..., PgLeaseStore]


@pytest.fixture
def new_leases(pg: PgWorld) -> Iterator[NewLeases]:
    made: list[PgLeaseStore] = []

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
        row = WorkerRow(worker_id=worker_id, lock_key=lock_key, **fields | more)
        made.append(PgLeaseStore(pg.database, row))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def leases(new_leases: NewLeases) -> PgLeaseStore:
    leases = new_leases()
    leases.register()
    return leases


@pytest.fixture
def sweeps(pg: PgWorld) -> Iterator[PgSweepStore]:
    store = PgSweepStore(pg.database, "sweeper")
    yield store
    store.close()


@pytest.fixture
def store(pg: PgWorld) -> PgRunStore:
    return pg.open()


def cut_off(pg: PgWorld, leases: PgLeaseStore) -> None:
    """End the process's connection on the server, and see it gone."""
    session = leases._session
    assert session is not None
    backend = session.connection.info.backend_pid
    pg.execute("SELECT pg_terminate_backend(%s)", backend)
    wait_until(
        lambda: not pg.one("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", backend),
        "the connection is gone",
    )


def age_claims(pg: PgWorld, seconds: int = 60) -> None:
    pg.execute(
        "UPDATE chaingraph_execution_claims"
        " SET claimed_at = claimed_at - %s * interval '1 s',"
        " heartbeat_at = heartbeat_at - %s * interval '1 s',"
        " expires_at = expires_at - %s * interval '1 s'",
        seconds,
        seconds,
        seconds,
    )


# -- renewal


def test_a_renewal_prolongs_the_lease(pg: PgWorld, store: PgRunStore, leases: PgLeaseStore) -> None:
    claimed = claim(store, pg.create())
    age_claims(pg)

    assert leases.renew([claimed.fence]) == [Renewed(claimed.fence, None)]

    lease = pg.claim_of(claimed.fence.execution_id)
    assert lease is not None
    left = lease.expires_at - pg.now()
    assert timedelta(0) < timedelta(milliseconds=LEASE_MS) - left < timedelta(seconds=1)


def test_a_renewal_gives_only_what_still_holds(
    pg: PgWorld, store: PgRunStore, leases: PgLeaseStore
) -> None:
    held, taken, ended, parked, released, older = (claim(store, pg.create()) for _ in range(6))
    foreign = claim(pg.open(), pg.create(), "w2")
    pg.take_over(taken.fence.execution_id)
    write(store, ended, 0, DONE)
    store.park(parked.fence, 0, 0, "{}", None)
    store.release(released.fence)
    again = Fence(older.fence.execution_id, older.fence.epoch - 1)
    fences = [each.fence for each in (held, taken, ended, parked, released, foreign)]

    assert leases.renew([*fences, again]) == [Renewed(held.fence, None)]


def test_a_renewal_of_nothing_is_a_heartbeat(pg: PgWorld, leases: PgLeaseStore) -> None:
    pg.execute("UPDATE chaingraph_workers SET last_heartbeat_at = '2020-01-01'")

    assert leases.renew([]) == []

    beat = pg.one("SELECT last_heartbeat_at FROM chaingraph_workers")
    assert pg.now() - beat < timedelta(seconds=1)


def test_a_renewal_tells_what_is_requested(
    pg: PgWorld, store: PgRunStore, leases: PgLeaseStore
) -> None:
    claimed = claim(store, pg.create())
    pg.request(claimed.fence.execution_id, "pause")

    assert leases.renew([claimed.fence]) == [Renewed(claimed.fence, "pause")]


# -- strays


def test_what_nothing_runs_is_released_for_others(
    pg: PgWorld, store: PgRunStore, leases: PgLeaseStore
) -> None:
    stray, running, foreign = (
        claim(store, pg.create()),
        claim(store, pg.create()),
        claim(pg.open(), pg.create(), "w2"),
    )
    age_claims(pg, 2)

    leases.release_strays([running.fence])

    assert not store.holds(stray.fence)
    assert store.holds(running.fence)
    assert store.holds(foreign.fence)
    assert claim(pg.open(), stray.fence.execution_id, "w2").fence.epoch > stray.fence.epoch
    assert pg.recoveries(stray.fence.execution_id) == []


def test_what_was_claimed_a_moment_ago_is_no_stray(
    pg: PgWorld, store: PgRunStore, leases: PgLeaseStore
) -> None:
    claimed = claim(store, pg.create())

    leases.release_strays([])

    assert store.holds(claimed.fence)


# -- the lock


def test_a_registered_process_holds_its_lock(
    pg: PgWorld, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    assert not pg.one("SELECT pg_try_advisory_lock(7)")
    assert sweeps.unlocked() == set()
    row = pg.execute("SELECT * FROM chaingraph_workers")[0]
    assert (row.worker_id, row.status, row.queues, row.lock_key) == (
        "w1",
        "running",
        ["default"],
        7,
    )
    assert row.lock_server_started_at == pg.one("SELECT pg_postmaster_start_time()")


@pytest.mark.parametrize(
    "lock_key", [0, -1, 2**63 - 1, -(2**63), 1 << 32, (1 << 32) - 1, -(1 << 32)]
)
def test_every_key_is_told_from_a_lock_that_is_free(
    pg: PgWorld, new_leases: NewLeases, sweeps: PgSweepStore, lock_key: int
) -> None:
    leases = new_leases("w9", lock_key)
    leases.register()
    assert sweeps.unlocked() == set()

    cut_off(pg, leases)

    assert sweeps.unlocked() == {"w9"}


def test_a_process_is_alive_until_its_connection_is_gone(
    pg: PgWorld, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    pg.execute("UPDATE chaingraph_workers SET last_heartbeat_at = '2020-01-01'")
    assert sweeps.unlocked() == set()

    leases.close()

    wait_until(lambda: sweeps.unlocked() == {"w1"}, "its lock is free")


def test_a_lock_of_another_database_is_none(
    pg: PgWorld, leases: PgLeaseStore, sweeps: PgSweepStore, postgres_url: str
) -> None:
    import psycopg2

    elsewhere = psycopg2.connect(postgres_url)
    with elsewhere.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(7)")
    cut_off(pg, leases)

    assert sweeps.unlocked() == {"w1"}
    elsewhere.close()


def test_a_lock_of_an_earlier_server_tells_nothing(
    pg: PgWorld, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    cut_off(pg, leases)
    for earlier in ("'2020-01-01'", "NULL"):
        pg.execute(f"UPDATE chaingraph_workers SET lock_server_started_at = {earlier}")

        assert sweeps.unlocked() == set()


def test_a_process_that_was_cut_off_takes_its_lock_anew(
    pg: PgWorld, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    cut_off(pg, leases)
    with pytest.raises(StoreUnavailable):
        leases.renew([])

    leases.register()

    assert sweeps.unlocked() == set()
    assert not pg.one("SELECT pg_try_advisory_lock(7)")


def test_a_process_that_was_forgotten_is_known_again_once_it_is_back(
    pg: PgWorld, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    cut_off(pg, leases)
    sweeps.unregister(["w1"])
    with pytest.raises(StoreUnavailable):
        leases.renew([])

    leases.register()

    assert pg.one("SELECT worker_id FROM chaingraph_workers") == "w1"
    assert sweeps.unlocked() == set()


def test_while_the_old_connection_lingers_the_process_is_not_taken_for_dead(
    pg: PgWorld, new_leases: NewLeases, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    reconnected = new_leases()
    reconnected.register()
    assert pg.one("SELECT lock_server_started_at FROM chaingraph_workers") is None

    cut_off(pg, leases)
    assert sweeps.unlocked() == set()
    reconnected.register()

    assert pg.one("SELECT lock_server_started_at FROM chaingraph_workers") is not None
    assert sweeps.unlocked() == set()
    assert not pg.one("SELECT pg_try_advisory_lock(7)")


def test_a_process_that_ends_in_good_order_is_forgotten(
    pg: PgWorld, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    leases.set_status("draining")
    assert pg.one("SELECT status FROM chaingraph_workers") == "draining"

    leases.unregister()
    leases.close()

    assert pg.one("SELECT count(*) FROM chaingraph_workers") == 0
    assert sweeps.unlocked() == set()


# -- what nobody hears of any more


def silence(pg: PgWorld, leases_ago: float) -> None:
    pg.execute(
        "UPDATE chaingraph_workers SET last_heartbeat_at ="
        " clock_timestamp() - %s * lease_ms * interval '1 ms'",
        leases_ago,
    )


def test_a_process_of_a_server_gone_for_good_is_silent_after_three_leases(
    pg: PgWorld, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    pg.execute("UPDATE chaingraph_workers SET lock_server_started_at = '2020-01-01'")
    silence(pg, 2.9)
    assert sweeps.silent() == []

    silence(pg, 3.1)

    assert sweeps.silent() == ["w1"]


def test_a_silent_process_that_owns_something_is_kept(
    pg: PgWorld, store: PgRunStore, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    claim(store, pg.create())
    pg.execute("UPDATE chaingraph_workers SET lock_server_started_at = NULL")
    silence(pg, 4)

    assert sweeps.silent() == []


def test_a_frozen_process_that_holds_its_lock_stays_known(
    pg: PgWorld, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    silence(pg, 100)

    assert sweeps.silent() == []


def test_only_parents_that_are_heard_of_have_slots(
    pg: PgWorld, new_leases: NewLeases, leases: PgLeaseStore, sweeps: PgSweepStore
) -> None:
    new_leases("w1/1", 8, parent_worker_id="w1", concurrency=1).register()
    new_leases("w2", 9, concurrency=4).register()
    assert sweeps.slots() == 7

    leases.set_status("draining")
    assert sweeps.slots() == 4

    silence(pg, 1.1)
    assert sweeps.slots() == 0
