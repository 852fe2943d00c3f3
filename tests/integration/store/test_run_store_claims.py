"""The suite that every run store passes: claims."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta

from app.store.protocol import RunStore
from app.store.records import Fence, Void
from tests.integration.store.boundaries import DONE, LEASE_MS, boundary, claim, write
from tests.world import World


def test_a_claim_by_id_owns_the_execution(store: RunStore, world: World) -> None:
    execution = world.create()
    before = store.now()

    claimed = claim(store, execution)

    after = store.now()
    assert claimed.fence == Fence(execution, 1)
    assert (claimed.wake, claimed.begun, claimed.running_ms) == (0, False, 0)
    row = world.row(execution)
    assert (row.processing_worker_id, row.runnable_at, row.epoch) == ("w1", None, 1)
    lease = world.claim_of(execution)
    assert lease is not None
    assert (lease.worker_id, lease.status, lease.epoch) == ("w1", "active", 1)
    # In memory the clock goes in milliseconds.
    since = lease.expires_at - timedelta(milliseconds=LEASE_MS)
    assert before <= since < after + timedelta(milliseconds=1)


def test_a_claim_shows_what_was_created(store: RunStore, world: World) -> None:
    execution = world.create(
        inputs='{"a":{"text":"Bob"}}', integration='{"k":1}', flow_version=7, owner_id="me"
    )

    claimed = claim(store, None)

    assert claimed.fence.execution_id == execution == claimed.root_execution_id
    assert (claimed.flow_id, claimed.flow_version, claimed.owner_id) == ("V2flow", 7, "me")
    assert claimed.parent_execution_id is None
    assert claimed.inputs == '{"a":{"text":"Bob"}}'
    assert claimed.integration == '{"k":1}'
    assert json.loads(claimed.options)["priority"] == 5


def test_the_next_claimed_is_of_the_highest_priority_then_the_oldest(
    store: RunStore, world: World
) -> None:
    low = world.create(priority=0)
    first, second = world.create(), world.create()
    high = world.create(priority=9)

    order = [claim(store, None).fence.execution_id for _ in range(4)]

    assert order == [high, first, second, low]
    assert store.claim("w1", "t", LEASE_MS) is None


def test_a_claim_by_id_passes_by_what_is_ahead_in_the_backlog(
    store: RunStore, world: World
) -> None:
    world.create(priority=9)
    wanted = world.create(priority=0)

    assert claim(store, wanted).fence.execution_id == wanted


def test_what_has_an_owner_is_nobody_elses_to_claim(store: RunStore, world: World) -> None:
    execution = world.create()
    claim(store, execution)

    assert store.claim("w1", "another", LEASE_MS, execution) is None
    assert world.open().claim("w2", "another", LEASE_MS, execution) is None
    assert world.open().claim("w2", "another", LEASE_MS) is None
    assert world.row(execution).epoch == 1


def test_what_is_not_started_is_not_claimed(store: RunStore, world: World) -> None:
    execution = world.create(start=False)

    assert store.claim("w1", "t", LEASE_MS, execution) is None
    assert store.claim("w1", "t", LEASE_MS) is None
    assert world.claim_of(execution) is None


def test_what_is_final_is_not_claimed(store: RunStore, world: World) -> None:
    execution = world.create()
    write(store, claim(store, execution), 0, DONE)

    assert store.claim("w1", "t", LEASE_MS, execution) is None
    assert store.claim("w1", "t", LEASE_MS) is None


def test_who_has_an_epoch_from_before_the_database_fell_back_writes_nothing(
    store: RunStore, world: World
) -> None:
    execution = world.create()
    begun = boundary("flow:started")
    world.take_over(execution)
    lost = claim(store, execution, "w1")
    write(store, lost, 0, begun)
    earlier = {"epoch": lost.fence.epoch - 1, "writes": 1, "runnable_at": store.now()}
    world.change("chaingraph_executions", {"id": execution}, **earlier, started_at=None)

    held = claim(store, execution, "w2")

    assert held.fence == lost.fence
    for count in range(3):
        assert store.write(lost.fence, lost.writes + count, boundary("x")) == Void()
        write(store, held, count, boundary("node:started"))
        assert store.settle_unknown(lost.fence, lost.writes + count, begun) == Void()


def test_what_does_not_exist_is_not_claimed(store: RunStore) -> None:
    assert store.claim("w1", "t", LEASE_MS, "EXunknown") is None


def test_every_claim_has_a_higher_epoch_and_the_state_as_it_is(
    store: RunStore, world: World
) -> None:
    execution = world.create()
    first = claim(store, execution)
    write(store, first, 0, boundary("flow:started", grants='{"a":1}'))
    world.take_over(execution)

    second = claim(world.open(), execution, "w2")

    assert second.fence == Fence(execution, 3)
    assert second.writes == world.row(execution).writes
    assert second.begun
    assert second.grants == '{"a":1}'
    lease = world.claim_of(execution)
    assert lease is not None
    assert (lease.worker_id, lease.status, lease.epoch) == ("w2", "active", 3)


def test_many_workers_at_once_claim_each_execution_once(world: World) -> None:
    created = [world.create() for _ in range(60)]
    taken: list[str] = []
    stores = [world.open() for _ in range(6)]

    def work(number: int) -> None:
        taken.extend(_all_claimed(stores[number], f"w{number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == created
    assert {world.row(execution).epoch for execution in created} == {1}


def _all_claimed(store: RunStore, worker: str) -> Iterator[str]:
    while claimed := store.claim(worker, "t", LEASE_MS):
        yield claimed.fence.execution_id


def test_a_claim_whose_reply_was_lost_is_found_by_its_token(store: RunStore, world: World) -> None:
    world.create()
    claimed = store.claim("w1", "the token", LEASE_MS)

    found = world.open().find_claim("w1", "the token")

    assert claimed is not None
    assert found == claimed


def test_a_claim_is_not_found_by_another_token_or_worker(store: RunStore, world: World) -> None:
    world.create()
    store.claim("w1", "the token", LEASE_MS)

    assert store.find_claim("w1", "another") is None
    assert store.find_claim("w2", "the token") is None


def test_a_claim_that_was_taken_away_is_not_found(store: RunStore, world: World) -> None:
    execution = world.create()
    store.claim("w1", "the token", LEASE_MS)
    world.take_over(execution)

    assert store.find_claim("w1", "the token") is None
    claim(world.open(), execution, "w2")
    assert store.find_claim("w1", "the token") is None


def test_a_claim_that_has_ended_is_not_found(store: RunStore, world: World) -> None:
    write(store, claim(store, world.create()), 0, DONE)

    assert store.find_claim("w1", "token of w1") is None


def test_a_fence_holds_until_another_has_it_or_the_execution_ends(
    store: RunStore, world: World
) -> None:
    taken, finished = claim(store, world.create()), claim(store, world.create())
    assert store.holds(taken.fence)
    assert store.holds(finished.fence)

    world.take_over(taken.fence.execution_id)
    write(store, finished, 0, DONE)

    assert not store.holds(taken.fence)
    assert not store.holds(finished.fence)
    assert not store.holds(Fence("EXunknown", 1))


def test_a_released_execution_is_claimed_at_once_with_a_higher_epoch(
    store: RunStore, world: World
) -> None:
    execution = world.create()
    first = claim(store, execution)

    store.release(first.fence)

    lease = world.claim_of(execution)
    assert lease is not None
    assert (lease.status, lease.expires_at) == ("released", None)
    assert not store.holds(first.fence)
    second = claim(world.open(), execution, "w2")
    assert second.fence.epoch > first.fence.epoch
    assert isinstance(store.write(first.fence, first.writes, boundary("flow:started")), Void)


def test_what_another_owns_or_what_has_ended_is_not_released(store: RunStore, world: World) -> None:
    lost, finished = claim(store, world.create()), claim(store, world.create())
    world.take_over(lost.fence.execution_id)
    present = claim(world.open(), lost.fence.execution_id, "w2")
    write(store, finished, 0, DONE)

    store.release(lost.fence)
    store.release(finished.fence)

    assert store.holds(present.fence)
    lease = world.claim_of(present.fence.execution_id)
    assert lease is not None
    assert lease.status == "active"
    assert world.row(finished.fence.execution_id).runnable_at is None


def test_what_gives_way_is_claimed_after_those_of_its_priority_that_wait(
    store: RunStore, world: World
) -> None:
    first, second = world.create(), world.create()
    less_urgent = world.create(priority=4)
    claimed = claim(store, first)

    store.give_way(claimed.fence)

    row = world.row(first)
    assert (row.epoch, row.processing_worker_id, row.failure_count) == (2, None, 0)
    lease = world.claim_of(first)
    assert lease is not None
    assert (lease.status, lease.expires_at) == ("released", None)
    later = world.create()
    order = [claim(world.open(), None).fence.execution_id for _ in range(4)]
    assert order == [second, first, later, less_urgent]


def test_what_another_owns_does_not_give_way(store: RunStore, world: World) -> None:
    execution = world.create()
    claimed = claim(store, execution)
    world.take_over(execution)
    other = claim(world.open(), execution, "w2")

    store.give_way(claimed.fence)

    assert world.row(execution).epoch == other.fence.epoch
    assert store.holds(other.fence)


def test_others_wait_once_they_are_no_less_urgent_and_nobody_has_taken_them(
    store: RunStore, world: World
) -> None:
    mine = claim(store, world.create(priority=5)).fence.execution_id

    assert not store.others_wait(mine, 0)
    world.create(priority=4)
    assert not store.others_wait(mine, 0)
    other = world.create(priority=5)
    assert store.others_wait(mine, 0)
    assert not store.others_wait(mine, 60_000)
    claim(world.open(), other, "w2")
    assert not store.others_wait(mine, 0)
    world.create(priority=9)
    assert store.others_wait(mine, 0)
