"""The suite that every run store passes: writes of a run that is commanded."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.events.wire import timestamp
from app.store.protocol import RunStore
from app.store.records import (
    Boundary,
    Claimed,
    Ending,
    Pausing,
    Recalled,
    Request,
    Void,
    Written,
)
from tests.integration.store.boundaries import (
    DONE,
    LEASE_MS,
    boundary,
    checkpoint,
    claim,
    write,
)
from tests.world import World

PAUSED = boundary("flow:paused", pausing=Pausing(), known="pause", checkpoints=[checkpoint()])
UNAWARE = {"a boundary": boundary("node:started", grants='{"a":1}'), "the end": DONE}


@pytest.fixture
def claimed(store: RunStore, world: World) -> Claimed:
    claimed = claim(store, world.create())
    write(store, claimed, 0, boundary("flow:started"))
    return replace(claimed, writes=claimed.writes + 1)


@pytest.mark.parametrize("unaware", UNAWARE.values(), ids=UNAWARE)
@pytest.mark.parametrize("command", ["pause", "step"])
def test_nothing_is_granted_and_nothing_ends_past_a_command_that_is_not_known(
    store: RunStore, world: World, claimed: Claimed, unaware: Boundary, command: str
) -> None:
    world.request(claimed.fence.execution_id, command)
    before = world.row(claimed.fence.execution_id)

    assert store.write(claimed.fence, claimed.writes, unaware) == Recalled(Request(command))
    recalled = store.settle_unknown(claimed.fence, claimed.writes, unaware)
    assert recalled == Recalled(Request(command))

    assert world.row(claimed.fence.execution_id) == before


def test_a_command_that_is_known_recalls_nothing(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    world.request(claimed.fence.execution_id, "pause")
    known = boundary("node:completed", checkpoints=[checkpoint()], known="pause", grants='{"b":1}')

    write(store, claimed, 0, known)

    row = world.row(claimed.fence.execution_id)
    assert (row.status, row.requested, row.processing_worker_id) == ("running", "pause", "w1")
    assert row.grants == {"b": 1}
    assert [each.node_id for each in store.checkpoints(claimed.fence.execution_id)] == ["a"]


def test_a_command_that_was_withdrawn_recalls_too(store: RunStore, claimed: Claimed) -> None:
    assert store.write(claimed.fence, claimed.writes, PAUSED) == Recalled(None)


def test_what_is_requested_can_be_asked(store: RunStore, world: World, claimed: Claimed) -> None:
    assert store.requested(claimed.fence) is None
    world.request(claimed.fence.execution_id, "pause")
    assert store.requested(claimed.fence) == Request("pause")
    world.take_over(claimed.fence.execution_id)
    assert store.requested(claimed.fence) == Void()


def test_a_claim_tells_what_is_requested(store: RunStore, world: World) -> None:
    execution = world.create()
    world.request(execution, "step")

    assert claim(store, execution).requested == "step"


def test_a_pause_gives_the_execution_up(store: RunStore, world: World, claimed: Claimed) -> None:
    execution = claimed.fence.execution_id
    world.request(execution, "pause")

    written = write(store, claimed, 0, PAUSED)

    row = world.row(execution)
    since = timestamp(written.at)
    assert row.waiting == {"for": "resume", "since": since, "until": None, "detail": {}}
    assert (row.status, row.requested, row.runnable_at, row.wake_at) == ("paused", None, None, None)
    assert (row.processing_worker_id, row.processing_started_at) == (None, None)
    lease = world.claim_of(execution)
    assert lease is not None
    assert (lease.status, lease.expires_at) == ("released", None)
    assert [each.node_id for each in store.checkpoints(execution)] == ["a"]
    assert world.events(execution)[-1][1] == "flow:paused"


def test_what_is_paused_is_not_claimed_and_not_taken_from_anybody(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    world.request(execution, "pause")
    write(store, claimed, 0, PAUSED)
    before = world.row(execution)

    assert store.claim("w2", "t", LEASE_MS, execution) is None
    store.release(claimed.fence)
    store.abandon(claimed.fence, "w1", 5)
    assert store.write(claimed.fence, claimed.writes + 1, boundary("node:started")) == Void()

    assert world.row(execution) == before


def test_what_arrives_for_a_paused_execution_does_not_move_it(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    world.request(execution, "pause")
    write(store, claimed, 0, PAUSED)

    store.wake(execution)

    row = world.row(execution)
    assert (row.status, row.runnable_at, row.wake) == ("paused", None, 1)


def test_a_breakpoint_that_was_hit_is_known_to_the_next_owner(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    for node in "bc":
        hit = boundary("debug:breakpoint-hit", pausing=Pausing("breakpoint", node))
        written = store.write(claimed.fence, claimed.writes, hit)
        assert isinstance(written, Written)
        waiting = world.row(execution).waiting
        assert (waiting["for"], waiting["detail"]) == ("breakpoint", {"nodeId": node})
        assert world.commands().resume(execution) is not None
        claimed = claim(store, execution)

    assert claimed.breakpoints_hit == ["b", "c"]


@pytest.mark.parametrize("ending", [Ending("completed"), Ending("failed", "boom", "a")])
def test_an_end_uses_a_step_up(
    store: RunStore, world: World, claimed: Claimed, ending: Ending
) -> None:
    execution = claimed.fence.execution_id
    world.request(execution, "step")

    end = boundary("flow:x", "execution:x", ending=ending, known="step")
    written = write(store, claimed, 0, end)

    row = world.row(execution)
    assert (row.status, row.requested, row.completed_at) == (ending.status, None, written.at)
    assert (row.error_message, row.error_node_id) == (ending.error_message, ending.error_node_id)
    lease = world.claim_of(execution)
    assert lease is not None
    assert lease.status == "released"


def test_a_retried_node_s_checkpoint_is_replaced_under_a_command(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    waits = checkpoint(status="waiting", error='{"type":"E","message":"m"}', outputs=None)
    write(store, claimed, 0, boundary(checkpoints=[waits]))
    world.request(execution, "pause")

    write(store, claimed, 1, boundary(checkpoints=[checkpoint(attempt=2)], known="pause"))

    [stored] = store.checkpoints(execution)
    assert (stored.status, stored.attempt) == ("completed", 2)


def test_a_pause_that_was_done_is_found_done(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    world.request(claimed.fence.execution_id, "pause")
    done = write(store, claimed, 0, PAUSED)
    before = world.row(claimed.fence.execution_id)

    assert store.settle_unknown(claimed.fence, claimed.writes, PAUSED) == done
    assert world.row(claimed.fence.execution_id) == before


def test_a_lost_write_that_was_done_before_the_command_came_is_found_done(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    lost = boundary("node:started")
    done = write(store, claimed, 0, lost)
    world.request(claimed.fence.execution_id, "pause")

    assert store.settle_unknown(claimed.fence, claimed.writes, lost) == done
    events = [json.loads(data) for _, _, data in world.events(claimed.fence.execution_id)]
    assert len(events) == 3
