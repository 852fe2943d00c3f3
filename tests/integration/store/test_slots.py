"""The suite that every store passes: no more executions are claimed at once than may be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from app.store.executions import ExecutionTable
from app.store.protocol import RunStore
from app.store.records import Claimed, Fence, Pausing
from app.store.sweeps import LostClaim
from tests.integration.store.boundaries import DONE, LEASE_MS, boundary, claim, write
from tests.world import PgWorld, World

LIMIT = 2


@pytest.fixture
def store(world: World) -> RunStore:
    return world.open(limit=LIMIT)


def next_of(store: RunStore, worker: str = "w1") -> Claimed | None:
    return store.claim(worker, f"token of {worker}", LEASE_MS)


def test_so_many_are_claimed_and_no_more(world: World, store: RunStore) -> None:
    executions = [world.create() for _ in range(LIMIT + 1)]

    claimed = [next_of(store) for _ in executions]

    assert [each and each.fence.execution_id for each in claimed] == [*executions[:LIMIT], None]
    waiting = world.row(executions[-1])
    assert (waiting.epoch, waiting.processing_worker_id) == (0, None)
    assert waiting.runnable_at is not None
    assert store.claim("w1", "t", LEASE_MS, executions[-1]) is None


def test_one_limit_holds_for_all_processes(world: World) -> None:
    stores = [world.open(limit=LIMIT) for _ in range(LIMIT + 1)]
    for _ in stores:
        world.create()

    claimed = [next_of(each, f"w{number}") for number, each in enumerate(stores)]

    assert [each is None for each in claimed] == [False] * LIMIT + [True]


def test_the_first_of_the_backlog_gets_the_slot(world: World, store: RunStore) -> None:
    claims = [claim(store, world.create()) for _ in range(LIMIT)]
    world.create(priority=1)
    urgent = world.create(priority=9)
    assert next_of(store) is None

    write(store, claims[0], 0, DONE)

    taken = next_of(store)
    assert taken is not None
    assert taken.fence.execution_id == urgent
    assert next_of(store) is None


def end(world: World, store: RunStore, claimed: Claimed) -> None:
    write(store, claimed, 0, DONE)


def park(world: World, store: RunStore, claimed: Claimed) -> None:
    store.park(claimed.fence, claimed.writes, claimed.wake, "{}", None)


def release(world: World, store: RunStore, claimed: Claimed) -> None:
    store.release(claimed.fence)


def pause(world: World, store: RunStore, claimed: Claimed) -> None:
    write(store, claimed, 0, boundary("flow:paused", pausing=Pausing()))


def stop(world: World, store: RunStore, claimed: Claimed) -> None:
    world.commands().stop(claimed.fence.execution_id, "enough")


def crash(world: World, store: RunStore, claimed: Claimed) -> None:
    store.abandon(claimed.fence, "w1", 5)


def lose(world: World, store: RunStore, claimed: Claimed) -> None:
    lost = LostClaim(claimed.fence.execution_id, claimed.fence.epoch, "w1")
    assert world.sweeps("sweeper").recover(lost, "worker_died", 5) is not None


def crash_for_good(world: World, store: RunStore, claimed: Claimed) -> None:
    lost = LostClaim(claimed.fence.execution_id, claimed.fence.epoch, "w1")
    recovered = world.sweeps("sweeper").recover(lost, "worker_died", 1)
    assert recovered is not None
    assert recovered.ended


@pytest.mark.parametrize(
    "give_up",
    [end, park, release, pause, stop, crash, lose, crash_for_good],
    ids=lambda f: f.__name__,
)
def test_whatever_ends_a_claim_frees_its_slot(
    world: World, store: RunStore, give_up: Callable[[World, RunStore, Claimed], None]
) -> None:
    claims = [claim(store, world.create()) for _ in range(LIMIT)]
    others = [world.create(priority=9) for _ in range(2)]
    assert next_of(store) is None

    give_up(world, store, claims[1])

    taken = next_of(store)
    assert taken is not None
    assert taken.fence.execution_id == others[0]
    assert next_of(store) is None
    assert store.holds(claims[0].fence)


def test_who_comes_back_needs_a_slot_again(world: World, store: RunStore) -> None:
    first = claim(store, world.create())
    park(world, store, first)
    for _ in range(LIMIT):
        claim(store, world.create())
    execution = first.fence.execution_id
    world.wake(execution, runnable=True)

    assert store.claim("w1", "t", LEASE_MS, execution) is None
    assert world.row(execution).epoch == first.fence.epoch


def test_a_renewal_keeps_the_slot(world: World, store: RunStore) -> None:
    """Its lease is over, and nobody has taken it: it is claimed still."""
    claims = [claim(store, world.create()) for _ in range(LIMIT)]
    world.create()
    for each in claims:
        world.change(
            "chaingraph_execution_claims",
            {"execution_id": each.fence.execution_id},
            expires_at=world.now() - timedelta(seconds=5),
        )

    assert next_of(store) is None


def test_without_a_limit_no_slot_is_looked_at(world: World) -> None:
    unlimited = world.open()
    claims = [claim(unlimited, world.create()) for _ in range(LIMIT + 1)]

    assert len(claims) == LIMIT + 1
    assert world.rows("chaingraph_slots") == []


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
def test_the_number_may_change(world: World, before: int, after: int) -> None:
    """As from one start of the workers to the next: what they had has ended."""
    old = world.open(limit=before)
    for _ in range(before):
        end(world, old, claim(old, world.create()))
    for _ in range(after + 1):
        world.create()
    new = world.open(limit=after)

    claimed = [next_of(new) for _ in range(after + 1)]

    assert [each is None for each in claimed] == [False] * after + [True]


# -- who is told


def limited_table(world: World) -> ExecutionTable:
    table = type(world.table)(world.database, limit=LIMIT)
    assert isinstance(table, ExecutionTable)
    return table


def test_what_waits_for_a_slot_is_known_as_such(world: World, store: RunStore) -> None:
    table = limited_table(world)
    first, second, third = (world.create() for _ in range(3))
    waiting = [world.row(third)]
    claim(store, first)
    assert table.limit_reached(waiting) is None

    claimed = claim(store, second)

    assert table.limit_reached(waiting) == LIMIT
    assert table.limit_reached([world.row(first)]) is None
    assert world.table.limit_reached(waiting) is None
    park(world, store, claimed)
    assert table.limit_reached(waiting) is None


def test_nobody_is_woken_for_what_can_not_be_claimed(world: World, store: RunStore) -> None:
    claims = [claim(store, world.create()) for _ in range(LIMIT)]
    lying = world.create()
    long_ago = world.now() - timedelta(seconds=90)
    world.change("chaingraph_executions", {"id": lying}, runnable_at=long_ago)
    sweeps = world.sweeps("sweeper", limit=LIMIT)
    assert sweeps.left_lying(60_000, 10) == []

    end(world, store, claims[0])

    assert sweeps.left_lying(60_000, 10) == [lying]


# -- many at once

ACTIVE = "SELECT count(*) FROM chaingraph_execution_claims WHERE status = 'active'"


def test_of_many_that_claim_at_once_no_more_get_one(pg: PgWorld) -> None:
    """Claims and ends as fast as they go; whoever has one counts how many there are."""
    workers, rounds = 6, 25
    for _ in range(workers * rounds):
        pg.create()
    ready = threading.Barrier(workers)
    done: list[Fence] = []
    counts: list[int] = []
    faults: list[BaseException] = []

    def work(number: int) -> None:
        store = pg.open(limit=LIMIT)
        beside = pg.connect().cursor()
        ready.wait()
        try:
            for _ in range(8 * rounds):
                claimed = next_of(store, f"w{number}")
                if claimed is not None:
                    beside.execute(ACTIVE)
                    counts.append(beside.fetchone()[0])
                    end(pg, store, claimed)
                    done.append(claimed.fence)
        except BaseException as error:
            faults.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert max(counts) == LIMIT
    assert len({fence.execution_id for fence in done}) == len(done)
    assert len(done) >= workers
    assert pg.one(ACTIVE) == 0
