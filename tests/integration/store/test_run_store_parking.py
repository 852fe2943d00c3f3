"""The suite that every run store passes: parking."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from app.store.protocol import RunStore
from app.store.records import Claimed, Parked, Void, Woken
from tests.integration.store.boundaries import DONE, LEASE_MS, boundary, claim, write
from tests.world import World

WAITING = '{"for":"retry","until":"2030-01-01T00:00:00.000Z"}'


@pytest.fixture
def claimed(store: RunStore, world: World) -> Claimed:
    claimed = claim(store, world.create())
    write(store, claimed, 0, boundary("flow:started", grants='{"a":1}'))
    return claimed


def test_a_parked_execution_holds_nothing_and_says_why(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    wake_at = store.now() + timedelta(seconds=30)

    assert store.park(claimed.fence, claimed.writes + 1, claimed.wake, WAITING, wake_at) == Parked()

    row = world.row(claimed.fence.execution_id)
    assert (row.waiting, row.wake_at) == (json.loads(WAITING), wake_at)
    assert (row.processing_worker_id, row.processing_started_at) == (None, None)
    assert (row.status, row.runnable_at, row.writes) == ("running", None, claimed.writes + 2)
    lease = world.claim_of(claimed.fence.execution_id)
    assert lease is not None
    assert (lease.status, lease.expires_at) == ("released", None)


def test_a_parked_execution_is_claimed_once_it_is_runnable(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    store.park(
        claimed.fence,
        claimed.writes + 1,
        claimed.wake,
        WAITING,
        store.now() + timedelta(seconds=30),
    )
    assert store.claim("w2", "t", LEASE_MS, execution) is None
    assert store.claim("w2", "t", LEASE_MS) is None

    world.wake(execution, runnable=True)
    again = claim(store, execution, "w2")

    assert again.fence.epoch > claimed.fence.epoch
    assert (again.wake, again.begun, again.grants) == (1, True, '{"a":1}')
    row = world.row(execution)
    assert (row.waiting, row.wake_at, row.runnable_at) == (None, None, None)


def test_an_execution_is_not_parked_when_something_arrived(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    world.wake(claimed.fence.execution_id)
    before = world.row(claimed.fence.execution_id)

    assert store.park(claimed.fence, claimed.writes + 1, claimed.wake, WAITING, None) == Woken(
        claimed.wake + 1
    )

    assert world.row(claimed.fence.execution_id) == before
    assert store.holds(claimed.fence)
    lease = world.claim_of(claimed.fence.execution_id)
    assert lease is not None
    assert lease.status == "active"
    assert (
        store.park(claimed.fence, claimed.writes + 1, claimed.wake + 1, WAITING, None) == Parked()
    )


def test_what_another_has_is_not_parked(store: RunStore, world: World, claimed: Claimed) -> None:
    world.take_over(claimed.fence.execution_id)
    before = world.row(claimed.fence.execution_id)

    assert store.park(claimed.fence, claimed.writes + 1, claimed.wake, WAITING, None) == Void()
    assert store.park(claimed.fence, before.writes, claimed.wake, WAITING, None) == Void()
    assert world.row(claimed.fence.execution_id) == before


@pytest.mark.parametrize("off", [0, 2])
def test_a_park_with_another_count_of_writes_is_void(
    store: RunStore, world: World, claimed: Claimed, off: int
) -> None:
    assert store.park(claimed.fence, claimed.writes + off, claimed.wake, WAITING, None) == Void()
    assert world.row(claimed.fence.execution_id).waiting is None


def test_what_has_ended_is_not_parked(store: RunStore, world: World, claimed: Claimed) -> None:
    write(store, claimed, 1, DONE)

    assert store.park(claimed.fence, claimed.writes + 2, claimed.wake, WAITING, None) == Void()
    assert world.row(claimed.fence.execution_id).status == "completed"


def test_a_fence_that_parked_is_of_no_use_once_another_claimed(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    store.park(claimed.fence, claimed.writes + 1, claimed.wake, WAITING, None)
    world.wake(execution, runnable=True)
    claim(world.open(), execution, "w2")

    assert not store.holds(claimed.fence)
    assert store.write(claimed.fence, claimed.writes + 2, boundary("node:started")) == Void()
    store.release(claimed.fence)
    lease = world.claim_of(execution)
    assert lease is not None
    assert lease.worker_id == "w2"
    assert lease.status == "active"
