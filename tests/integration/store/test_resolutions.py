"""The suite that every run store passes: outputs that running nodes gave."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.store.protocol import RunStore
from app.store.records import (
    Claimed,
    Ending,
    Pausing,
    Recalled,
    Request,
    ResolutionRow,
    StoredCheckpoint,
    Void,
    Written,
)
from tests.integration.store.boundaries import boundary, checkpoint, claim, write
from tests.world import World

GIVEN = ResolutionRow("b", 1, '{"out":[1]}')


@pytest.fixture
def claimed(store: RunStore, world: World) -> Claimed:
    claimed = claim(store, world.create())
    write(store, claimed, 0, boundary("flow:started"))
    return replace(claimed, writes=claimed.writes + 1)


def read(store: RunStore, claimed: Claimed) -> list[tuple[str, int, str]]:
    stored = store.checkpoints(claimed.fence.execution_id)
    return [(row.node_id, row.seq, row.status) for row in stored]


def test_what_was_given_is_read_among_the_checkpoints_in_the_order_of_writing(
    store: RunStore, claimed: Claimed
) -> None:
    first, last = checkpoint("a", seq=0), checkpoint("b", seq=2)

    write(store, claimed, 0, boundary("node:started", checkpoints=[first], resolutions=[GIVEN]))
    write(store, claimed, 1, boundary("node:completed", checkpoints=[last]))

    assert read(store, claimed) == [
        ("a", 0, "completed"),
        ("b", 1, "resolved"),
        ("b", 2, "completed"),
    ]
    given = store.checkpoints(claimed.fence.execution_id)[1]
    assert given == StoredCheckpoint("b", 1, "resolved", 0, '{"out":[1]}', None, None, None)


def test_the_api_reads_the_same(store: RunStore, world: World, claimed: Claimed) -> None:
    rows = [checkpoint("a", seq=0), checkpoint("c", seq=2)]
    write(store, claimed, 0, boundary(checkpoints=rows, resolutions=[GIVEN]))

    seen = world.table.checkpoints(claimed.fence.execution_id)

    assert [(row.node_id, row.status) for row in seen] == [
        ("a", "completed"),
        ("b", "resolved"),
        ("c", "completed"),
    ]


def test_a_run_that_goes_on_stays_its_owner_s(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    write(store, claimed, 0, boundary("node:started", grants='{"b":1}', resolutions=[GIVEN]))

    row = world.row(claimed.fence.execution_id)
    assert (row.status, row.epoch, row.processing_worker_id) == (
        "running",
        claimed.fence.epoch,
        "w1",
    )
    assert (row.grants, row.last_event_index) == ({"b": 1}, 1)


def test_it_is_written_with_the_end(store: RunStore, world: World, claimed: Claimed) -> None:
    done = boundary("execution:completed", ending=Ending("completed"), resolutions=[GIVEN])
    write(store, claimed, 0, done)

    row = world.row(claimed.fence.execution_id)
    assert (row.status, row.completed_at is not None) == ("completed", True)
    assert world.claim_of(row.id).status == "released"  # type: ignore[union-attr]
    assert read(store, claimed) == [("b", 1, "resolved")]


def test_it_is_written_with_a_pause(store: RunStore, world: World, claimed: Claimed) -> None:
    world.request(claimed.fence.execution_id, "pause")
    pause = boundary("flow:paused", pausing=Pausing(), known="pause", resolutions=[GIVEN])

    write(store, claimed, 0, pause)

    assert world.row(claimed.fence.execution_id).status == "paused"
    assert read(store, claimed) == [("b", 1, "resolved")]


def test_a_command_that_is_not_known_has_nothing_written(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    world.request(claimed.fence.execution_id, "pause")

    answer = store.write(claimed.fence, claimed.writes, boundary(resolutions=[GIVEN]))

    assert answer == Recalled(Request("pause"))
    assert read(store, claimed) == []


def test_who_lost_it_writes_nothing(store: RunStore, world: World, claimed: Claimed) -> None:
    world.take_over(claimed.fence.execution_id)

    answer = store.write(claimed.fence, claimed.writes, boundary(resolutions=[GIVEN]))

    assert answer == Void()
    assert read(store, claimed) == []


def test_a_write_whose_reply_was_lost_is_not_done_twice(store: RunStore, claimed: Claimed) -> None:
    what = boundary("node:started", resolutions=[GIVEN])
    written = write(store, claimed, 0, what)

    assert store.settle_unknown(claimed.fence, claimed.writes, what) == written
    assert isinstance(written, Written)
    assert read(store, claimed) == [("b", 1, "resolved")]
