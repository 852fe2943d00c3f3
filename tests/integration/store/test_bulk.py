"""Commands to many executions, in each store."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress

import pytest

from app.caller import LOCAL
from app.store.bulk import TAKE, BulkFilter, BulkStore, Recorded
from app.store.protocol import RunStore
from tests.integration.store.boundaries import DONE, boundary, claim, write
from tests.memory_world import MemoryWorld
from tests.world import PgWorld

EitherWorld = PgWorld | MemoryWorld


class Killed(Exception):
    """The process ends here."""


@pytest.fixture
def bulk(world: EitherWorld) -> BulkStore:
    return BulkStore(world.database)


def unowned(world: EitherWorld, store: RunStore) -> str:
    """An execution that runs and that nobody owns at the moment."""
    claimed = claim(store, world.create())
    write(store, claimed, 0, boundary("flow:started"))
    store.release(claimed.fence)
    return claimed.fence.execution_id


def ended(world: EitherWorld, store: RunStore) -> str:
    claimed = claim(store, world.create())
    write(store, claimed, 0, DONE)
    return claimed.fence.execution_id


def work_off(bulk: BulkStore, limit: int = 10) -> list[tuple[str, str]]:
    """Carry out all that is recorded; what came of it as (execution, action)."""
    came: list[tuple[str, str]] = []
    while (batch := bulk.carry_out(limit)).size:
        assert batch.size <= limit
        came += [(done.effect.execution_id, done.action) for done in batch.done]
    return came


def test_what_is_matched_and_allowed_is_recorded_and_carried_out_once(
    world: EitherWorld, store: RunStore, bulk: BulkStore
) -> None:
    waiting = [world.create(start=False) for _ in range(3)]
    started, over = world.create(), ended(world, store)

    assert bulk.record(LOCAL, "start", BulkFilter(flow_id="V2flow")) == Recorded(5, 3)
    # What comes after the call isn't meant by it.
    later = world.create(start=False)

    assert sorted(work_off(bulk, 2)) == [(each, "start") for each in waiting]
    assert all(world.row(each).runnable_at is not None for each in waiting)
    assert [world.row(each).wake for each in (*waiting, started, over)] == [1, 1, 1, 0, 0]
    assert world.row(later).start_requested_at is None
    assert work_off(bulk) == []


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (BulkFilter(statuses=["created"]), 2),
        (BulkFilter(statuses=["created", "running"]), 3),
        (BulkFilter(statuses=["paused"]), 0),
        (BulkFilter(flow_id="V2flow"), 3),
        (BulkFilter(flow_id="V2none"), 0),
        (BulkFilter(ids=[]), 0),
        (BulkFilter(statuses=["running"], flow_id="V2flow"), 1),
    ],
)
def test_a_filter_joins_what_it_names(
    world: EitherWorld, store: RunStore, bulk: BulkStore, wanted: BulkFilter, count: int
) -> None:
    unowned(world, store)
    world.create(start=False)
    world.create(start=False)
    world.create(start=False, owner_id="ada")
    assert bulk.record(LOCAL, "stop", wanted) == Recorded(count, count)


def test_ids_are_filtered_like_all_else(
    world: EitherWorld, store: RunStore, bulk: BulkStore
) -> None:
    running, waiting = unowned(world, store), world.create(start=False)
    anothers = world.create(start=False, owner_id="ada")
    ids = [running, waiting, anothers, "EXnone"]
    assert bulk.record(LOCAL, "stop", BulkFilter(ids=ids)).matched == 2
    wanted = BulkFilter(ids=ids, statuses=["created"], flow_id="V2flow")
    assert bulk.record(LOCAL, "stop", wanted).matched == 1
    assert bulk.record(LOCAL, "stop", BulkFilter(ids=ids, flow_id="V2none")).matched == 0


def test_commands_to_one_execution_keep_their_order(
    world: EitherWorld, store: RunStore, bulk: BulkStore
) -> None:
    execution = unowned(world, store)
    wanted = BulkFilter(ids=[execution])
    for _ in range(2):
        assert bulk.record(LOCAL, "pause", wanted).accepted == 1
    for action in ("stop", "stop"):
        bulk.record(LOCAL, action, wanted)

    # The second of each comes to nothing.
    assert [bulk.carry_out(10).size for _ in range(3)] == [1, 1, 1]
    assert world.row(execution).status == "stopped"
    assert work_off(bulk) == []
    types = [type_ for _, type_, _ in world.events(execution)]
    assert types[-3:] == ["flow:paused", "flow:cancelled", "execution:stopped"]


def test_what_is_paused_is_resumed_and_a_pause_on_its_way_withdrawn(
    world: EitherWorld, store: RunStore, bulk: BulkStore
) -> None:
    paused, owned = unowned(world, store), unowned(world, store)
    claim(store, owned, "w1")
    wanted = BulkFilter(flow_id="V2flow")
    assert bulk.record(LOCAL, "resume", wanted) == Recorded(2, 0)
    bulk.record(LOCAL, "pause", wanted)
    at_once, requested = (done.effect for done in bulk.carry_out(10).done)
    assert (world.row(paused).status, world.row(owned).requested) == ("paused", "pause")
    assert (at_once.told is not None, list(requested.owners)) == (
        True,
        ["w1"],
    )

    assert bulk.record(LOCAL, "resume", wanted) == Recorded(2, 2)
    work_off(bulk)

    assert (world.row(paused).status, world.row(owned).requested) == ("running", None)


def test_a_status_that_has_changed_meanwhile_is_left_alone(
    world: EitherWorld, store: RunStore, bulk: BulkStore
) -> None:
    execution = unowned(world, store)
    assert bulk.record(LOCAL, "pause", BulkFilter(ids=[execution])).accepted == 1
    claimed = claim(store, execution)
    write(store, claimed, 0, DONE)
    before = world.row(execution)

    assert work_off(bulk) == []

    assert world.row(execution) == before


def test_what_many_work_off_at_once_is_done_once(pg: PgWorld) -> None:
    bulk = BulkStore(pg.database)
    executions = [pg.create(start=False) for _ in range(60)]
    assert bulk.record(LOCAL, "start", BulkFilter(flow_id="V2flow")).accepted == 60
    ready = threading.Barrier(4)
    done: list[tuple[str, str]] = []

    def work() -> None:
        ready.wait()
        done.extend(work_off(bulk, 3))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(done) == Counter((each, "start") for each in executions)
    assert [pg.row(each).wake for each in executions] == [1] * 60


def test_a_crash_while_they_are_carried_out_leaves_them_to_the_next(pg: PgWorld) -> None:
    bulk = BulkStore(pg.database)
    executions = [pg.create(start=False) for _ in range(2)]
    bulk.record(LOCAL, "start", BulkFilter(flow_id="V2flow"))
    dying = pg.database.open()
    with suppress(Killed), dying.transaction():
        assert len(dying.execute(TAKE, 1)) == 1
        # One that another has in hand is passed over; of those that are left one is done.
        assert work_off(bulk) == [(executions[1], "start")]
        raise Killed
    dying.close()
    assert work_off(bulk) == [(executions[0], "start")]
