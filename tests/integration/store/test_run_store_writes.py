"""The suite that every run store passes: guarded writes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from app.store.protocol import RunStore
from app.store.records import Boundary, Claimed, Ending, Fence, Progress, Void, Written
from tests.integration.store.boundaries import DONE, boundary, checkpoint, claim, write
from tests.world import World


@pytest.fixture
def claimed(store: RunStore, world: World) -> Claimed:
    return claim(store, world.create())


def state(world: World, execution_id: str) -> tuple[Any, ...]:
    return world.row(execution_id), world.events(execution_id), world.claim_of(execution_id)


def test_the_first_write_begins_the_run(store: RunStore, world: World, claimed: Claimed) -> None:
    execution = claimed.fence.execution_id

    written = write(
        store,
        claimed,
        0,
        boundary("flow:started", grants='{"a":1}', progress=Progress(1, 2, 3)),
    )

    row = world.row(execution)
    assert written == Written(first_index=0, at=row.updated_at)
    assert written.at.microsecond % 1000 == 0
    assert (row.status, row.writes, row.last_event_index) == ("running", claimed.writes + 1, 0)
    assert row.started_at == written.at
    assert (row.nodes_completed, row.nodes_failed, row.nodes_skipped) == (1, 2, 3)


def test_a_later_write_leaves_the_start_as_it_was(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    first = write(store, claimed, 0, boundary("flow:started"))
    write(store, claimed, 1, boundary("node:started"))

    assert world.row(claimed.fence.execution_id).started_at == first.at


def test_events_have_no_gap_whoever_writes_them(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    write(store, claimed, 0, boundary("flow:started", "node:started"))
    write(store, claimed, 1, boundary())
    world.take_over(execution)
    other = world.open()
    second = claim(other, execution, "w2")
    store.write(claimed.fence, claimed.writes + 2, boundary("node:failed"))
    written = write(other, second, 0, boundary("node:completed", "node:started"))

    assert written.first_index == 2
    assert [event[:2] for event in world.events(execution)] == [
        (-1, "execution:created"),
        (0, "flow:started"),
        (1, "node:started"),
        (2, "node:completed"),
        (3, "node:started"),
    ]
    assert world.row(execution).last_event_index == 3


def test_a_write_is_void_once_another_has_the_execution(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    world.take_over(claimed.fence.execution_id)
    before = state(world, claimed.fence.execution_id)

    for count in range(claimed.writes - 1, before[0].writes + 2):
        assert store.write(claimed.fence, count, boundary("node:started")) == Void()
        assert store.write(claimed.fence, count, DONE) == Void()

    assert state(world, claimed.fence.execution_id) == before


@pytest.mark.parametrize("off", [-1, 1])
def test_a_write_is_void_with_another_count_than_the_rows(
    store: RunStore, world: World, claimed: Claimed, off: int
) -> None:
    write(store, claimed, 0, boundary("flow:started"))
    before = state(world, claimed.fence.execution_id)

    outcome = store.write(
        claimed.fence, claimed.writes + 1 + off, boundary("x", checkpoints=[checkpoint()])
    )

    assert outcome == Void()
    assert state(world, claimed.fence.execution_id) == before
    assert store.checkpoints(claimed.fence.execution_id) == []


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_nothing_changes_what_is_final(
    store: RunStore, world: World, claimed: Claimed, status: str
) -> None:
    execution = claimed.fence.execution_id
    write(store, claimed, 0, boundary("execution:x", ending=Ending(status, "why")))
    before = state(world, execution)

    assert store.write(claimed.fence, claimed.writes + 1, boundary("node:started")) == Void()
    assert store.write(claimed.fence, claimed.writes + 1, DONE) == Void()
    assert store.park(claimed.fence, claimed.writes + 1, 0, "{}", None) == Void()
    store.release(claimed.fence)

    assert state(world, execution) == before


def test_an_unknown_execution_is_not_written(store: RunStore) -> None:
    assert store.write(Fence("EXunknown", 1), 0, boundary("flow:started")) == Void()


def test_the_end_releases_the_claim(store: RunStore, world: World, claimed: Claimed) -> None:
    execution = claimed.fence.execution_id
    world.request(execution, "step")

    written = write(store, claimed, 0, DONE._replace(known="step"))

    row = world.row(execution)
    assert (row.status, row.completed_at, row.requested) == ("completed", written.at, None)
    assert (row.error_message, row.error_node_id) == (None, None)
    assert row.started_at == written.at
    assert [event[1] for event in world.events(execution)][-1] == "execution:completed"
    lease = world.claim_of(execution)
    assert lease is not None
    assert (lease.status, lease.expires_at) == ("released", None)


def test_a_failure_says_what_failed_and_where(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    write(store, claimed, 0, boundary("execution:failed", ending=Ending("failed", "boom", "a")))

    row = world.row(claimed.fence.execution_id)
    assert (row.status, row.error_message, row.error_node_id) == ("failed", "boom", "a")


def test_a_checkpoint_comes_back_as_it_was_written(store: RunStore, claimed: Claimed) -> None:
    first = checkpoint("b", seq=0, attempt=2, status="error", outputs=None, error='{"type":"E"}')
    second = checkpoint("a", seq=1)
    write(store, claimed, 0, boundary(checkpoints=[second, first]))

    stored = store.checkpoints(claimed.fence.execution_id)

    assert [row.node_id for row in stored] == ["b", "a"]
    assert (stored[0].status, stored[0].attempt, stored[0].error) == ("error", 2, '{"type":"E"}')
    assert (stored[0].outputs, stored[0].retry_at, stored[0].retry_in_ms) == (None, None, None)
    assert (stored[1].status, stored[1].outputs) == ("completed", '{"text":"Ada"}')


@pytest.mark.parametrize(("attempt", "replaces"), [(2, False), (1, True)])
def test_the_checkpoint_of_a_waiting_node_is_replaced_by_its_end(
    store: RunStore, claimed: Claimed, attempt: int, replaces: bool
) -> None:
    retry_at = store.now() + timedelta(seconds=30)
    waiting = checkpoint("a", seq=0, status="waiting", outputs=None, retry_at=retry_at)
    write(store, claimed, 0, boundary(checkpoints=[waiting, checkpoint("b", seq=1)]))
    [stored, _] = store.checkpoints(claimed.fence.execution_id)
    assert (stored.status, stored.retry_at) == ("waiting", retry_at)
    assert stored.retry_in_ms is not None
    assert 20_000 < stored.retry_in_ms <= 30_000

    end = checkpoint("a", seq=2, attempt=attempt, replaces=replaces)
    write(store, claimed, 1, boundary(checkpoints=[end]))

    other, ended = store.checkpoints(claimed.fence.execution_id)
    assert (other.node_id, ended.node_id) == ("b", "a")
    assert (ended.status, ended.attempt, ended.seq) == ("completed", attempt, 2)
    assert (ended.retry_at, ended.retry_in_ms) == (None, None)


def test_a_retry_that_is_overdue_says_for_how_long(store: RunStore, claimed: Claimed) -> None:
    retry_at = store.now() - timedelta(seconds=30)
    write(
        store, claimed, 0, boundary(checkpoints=[checkpoint(status="waiting", retry_at=retry_at)])
    )

    left_ms = store.checkpoints(claimed.fence.execution_id)[0].retry_in_ms
    assert left_ms is not None
    assert left_ms <= -30_000


AWKWARD = {
    "NUL": '{"text":"a\\u0000b"}',
    "an integer beyond 64 bits": '{"num":1180591620717411303424}',
    "a number that no float holds": '{"num":0.1000000000000000055511151231257827}',
    "quotes, backslashes, percent": '{"text":"\'\\"\\\\ %s $1 {} \\n"}',
    "beyond the BMP": '{"text":"𝄞 \u2028"}',
    "the same key twice": '{"a":1,"a":2}',
    "spaces": '{ "a" : [ ] }',
    "depth": '{"a":' + "[" * 150 + "]" * 150 + "}",
    "half of a surrogate pair, escaped": '{"text":"\\ud800"}',
}


@pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD)
def test_json_comes_back_byte_for_byte(
    store: RunStore, world: World, claimed: Claimed, text: str
) -> None:
    written = Boundary(
        events=[("node:completed", text)],
        checkpoints=[checkpoint(outputs=text, error=text)],
        grants=text,
    )
    write(store, claimed, 0, written)

    [stored] = store.checkpoints(claimed.fence.execution_id)
    assert (stored.outputs, stored.error) == (text, text)
    assert world.events(claimed.fence.execution_id)[-1] == (0, "node:completed", text)
    world.take_over(claimed.fence.execution_id)
    assert claim(store, claimed.fence.execution_id).grants == text


def test_a_large_value_comes_back_whole(store: RunStore, claimed: Claimed) -> None:
    text = json.dumps({"text": "ä" * 1_000_000}, ensure_ascii=False)
    write(store, claimed, 0, boundary(checkpoints=[checkpoint(outputs=text)]))

    assert store.checkpoints(claimed.fence.execution_id)[0].outputs == text


# -- what became of a write whose reply was lost


ENDS = {"a boundary": boundary("node:started", checkpoints=[checkpoint()]), "the end": DONE}


@pytest.mark.parametrize("lost", ENDS.values(), ids=ENDS)
def test_a_write_that_was_done_is_found_done_and_not_repeated(
    store: RunStore, world: World, claimed: Claimed, lost: Boundary
) -> None:
    write(store, claimed, 0, boundary("flow:started"))
    done = write(store, claimed, 1, lost)
    before = state(world, claimed.fence.execution_id)

    settled = store.settle_unknown(claimed.fence, claimed.writes + 1, lost)

    assert settled == done
    assert state(world, claimed.fence.execution_id) == before


@pytest.mark.parametrize("lost", ENDS.values(), ids=ENDS)
def test_a_write_that_never_arrived_is_done(
    store: RunStore, world: World, claimed: Claimed, lost: Boundary
) -> None:
    settled = store.settle_unknown(claimed.fence, claimed.writes, lost)

    assert isinstance(settled, Written)
    types = [type_ for _, type_, _ in world.events(claimed.fence.execution_id)]
    assert types == ["execution:created", *(type_ for type_, _ in lost.events)]
    assert world.row(claimed.fence.execution_id).writes == claimed.writes + 1


@pytest.mark.parametrize("was_done", [True, False])
@pytest.mark.parametrize("lost", ENDS.values(), ids=ENDS)
def test_a_lost_write_is_void_once_another_has_the_execution(
    store: RunStore, world: World, claimed: Claimed, lost: Boundary, was_done: bool
) -> None:
    if was_done and lost is not DONE:
        write(store, claimed, 0, lost)
    world.take_over(claimed.fence.execution_id)
    before = state(world, claimed.fence.execution_id)

    assert store.settle_unknown(claimed.fence, claimed.writes, lost) == Void()
    assert state(world, claimed.fence.execution_id) == before


def test_a_lost_write_is_void_once_the_execution_is_final(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    write(store, claimed, 0, DONE)
    before = state(world, claimed.fence.execution_id)

    assert store.settle_unknown(claimed.fence, claimed.writes, boundary("x")) == Void()
    assert store.settle_unknown(claimed.fence, claimed.writes + 1, boundary("x")) == Void()
    assert store.settle_unknown(claimed.fence, claimed.writes + 1, DONE) == Void()
    assert state(world, claimed.fence.execution_id) == before


def test_a_lost_write_of_what_was_deleted_is_void(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    world.forget(claimed.fence.execution_id)

    assert store.settle_unknown(claimed.fence, claimed.writes, boundary("x")) == Void()
