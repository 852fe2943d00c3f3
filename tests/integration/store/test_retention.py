"""What ended long ago is deleted, in each store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg2
import pytest

from app.local.listings import MemoryListingTable
from app.store import retention_statements as retention
from app.store.events import EventLog
from app.store.listings import ExecutionFilter, ListingTable, RootFilter
from app.store.protocol import RunStore
from app.store.records import Place
from app.store.sweeps import PgSweepStore
from app.store.tables import metadata
from tests.integration.store.boundaries import DONE, checkpoint, claim, write
from tests.memory_world import MemoryWorld
from tests.world import PgWorld

EitherWorld = PgWorld | MemoryWorld
Ended = Callable[..., str]

#: Tables whose rows name an execution and belong to none: they are free, or done, by themselves.
OTHERS = {"chaingraph_slots", "chaingraph_bulk_commands"}

#: A boundary that leaves a checkpoint, too.
LAST = DONE._replace(checkpoints=[checkpoint()])

#: What an execution has rows of.
BELONGING = (
    "chaingraph_execution_claims",
    "chaingraph_checkpoints",
    "chaingraph_execution_recovery",
)


@pytest.fixture
def sweeps(world: EitherWorld) -> PgSweepStore:
    return world.sweeps("w1")


@pytest.fixture
def listings(world: EitherWorld) -> ListingTable:
    if isinstance(world, PgWorld):
        return ListingTable(world.database)
    return MemoryListingTable(world.database)


@pytest.fixture
def ended(world: EitherWorld, store: RunStore) -> Ended:
    """Makes an execution that was created and ended so many days ago, or is alive still."""

    def make(days: float, *, child_of: str = "", alive: bool = False) -> str:
        claimed = claim(store, world.create())
        execution_id = claimed.fence.execution_id
        if not alive:
            write(store, claimed, 0, LAST)
        if child_of:
            world.adopt(execution_id, child_of)
        at = world.now() - timedelta(days=days)
        times: dict[str, Any] = {"created_at": at}
        if not alive:
            times["completed_at"] = at
        world.change("chaingraph_executions", {"id": execution_id}, **times)
        return execution_id

    return make


def delete(sweeps: PgSweepStore, limit: int = 100, after: Place | None = None) -> int:
    return sweeps.delete_roots(7, after, limit).gone


def is_there(world: EitherWorld, execution_id: str) -> bool:
    return EventLog(world.database).head(execution_id) is not None


def test_what_ended_long_ago_is_deleted_and_the_rest_stays(
    world: EitherWorld, sweeps: PgSweepStore, ended: Ended
) -> None:
    old, young, alive = ended(8), ended(6), ended(400, alive=True)

    assert delete(sweeps) == 1

    assert [is_there(world, each) for each in (old, young, alive)] == [False, True, True]
    assert delete(sweeps) == 0


def test_a_tree_goes_in_whole_or_not_at_all(
    world: EitherWorld, sweeps: PgSweepStore, ended: Ended
) -> None:
    old, waiting, late = ended(30), ended(30), ended(30)
    tree = [old, ended(29, child_of=old), ended(28, child_of=old)]
    kept = [waiting, ended(29, child_of=waiting), ended(29, child_of=waiting, alive=True)]
    kept += [late, ended(29, child_of=late), ended(1, child_of=late)]

    assert delete(sweeps) == 1
    while sweeps.delete_descendants(10, 100):
        pass

    assert not any(is_there(world, each) for each in tree)
    assert all(is_there(world, each) for each in kept)
    assert sweeps.purge(-1, 10, 100) == 3


def test_of_a_large_tree_a_bounded_number_goes_at_a_time_each_after_its_parent(
    world: EitherWorld, sweeps: PgSweepStore, ended: Ended
) -> None:
    root = ended(30)
    children = [ended(29, child_of=root) for _ in range(3)]
    below = [ended(28, child_of=child) for child in children]

    counts = [delete(sweeps)]
    assert not is_there(world, root)
    left = [*children, *below]
    while sweeps.delete_descendants(10, 2):
        rows = world.rows("chaingraph_executions")
        ids = {row.id for row in rows}
        counts.append(len(left) - len(ids))
        left = [row.id for row in rows]
        # Whoever lost one that descends from it is gone itself.
        assert all(
            child in ids for parent, child in zip(children, below, strict=True) if parent in ids
        )

    assert (counts, left) == ([1, 2, 2, 2, 0], [])


def test_a_deleted_root_is_noted_until_its_descendants_are_gone(
    world: EitherWorld, sweeps: PgSweepStore, ended: Ended
) -> None:
    root = ended(30)
    child = ended(29, child_of=root)
    delete(sweeps)

    assert sweeps.purge(-1, 10, 100) == 0
    assert is_there(world, child)
    assert [sweeps.delete_descendants(10, 100) for _ in range(3)] == [1, 1, 0]
    assert sweeps.purge(-1, 10, 100) == 2
    assert world.rows("chaingraph_deletions") == []


def test_descendants_of_several_roots_go_together(
    world: EitherWorld, sweeps: PgSweepStore, ended: Ended
) -> None:
    roots = [ended(30) for _ in range(3)]
    children = [ended(29, child_of=root) for root in roots]
    assert delete(sweeps) == 3

    assert sweeps.delete_descendants(2, 100) == 2
    assert sum(is_there(world, each) for each in children) == 1


def test_whoever_asks_for_a_tree_finds_none_once_its_root_is_gone(
    world: EitherWorld, sweeps: PgSweepStore, ended: Ended, listings: ListingTable
) -> None:
    root = ended(30)
    child = ended(29, child_of=root)
    of_the_tree = ExecutionFilter(root_execution_id=root)
    assert {row.id for row in listings.page(of_the_tree, 10)} == {root, child}
    delete(sweeps)

    assert list(listings.page(of_the_tree, 10)) == []
    assert list(listings.roots(RootFilter("V2flow", None), 10)) == []
    assert is_there(world, child)


def test_a_statement_looks_at_no_more_than_one_large_tree(
    world: EitherWorld, sweeps: PgSweepStore, ended: Ended
) -> None:
    large = [ended(100 - n) for n in range(2)]
    for root in large:
        for _ in range(3):
            ended(50, child_of=root)

    first = sweeps.delete_roots(7, None, 3)
    assert [is_there(world, root) for root in large] == [False, True]
    second = sweeps.delete_roots(7, first.last, 3)

    assert (first.gone, second.gone) == (1, 1)
    assert not is_there(world, large[1])


def test_who_read_the_row_a_moment_ago_still_finds_what_belongs_to_it(
    world: EitherWorld, sweeps: PgSweepStore, ended: Ended
) -> None:
    old, other = ended(8), ended(6)
    for each in (old, other):
        world.note_recovery(each, "w0")
    delete(sweeps)

    assert sweeps.purge(60_000, 10, 100) == 0
    assert len(EventLog(world.database).read(old, -1, 100)) > 1

    assert sweeps.purge(-1, 10, 100) == 1

    assert EventLog(world.database).read(old, -1, 100) == []
    assert not any(world.rows(table, execution_id=old) for table in BELONGING)
    assert all(world.rows(table, execution_id=other) for table in BELONGING)
    assert sweeps.purge(-1, 10, 100) == 0


def test_batches_are_bounded_and_go_on_where_the_last_one_ended(
    world: EitherWorld, sweeps: PgSweepStore, ended: Ended
) -> None:
    alive = [ended(500 - n, alive=True) for n in range(2)]
    old = [ended(100 - n) for n in range(3)]

    first = sweeps.delete_roots(7, None, 3)
    second = sweeps.delete_roots(7, first.last, 3)

    assert (first.gone, second.gone, second.last) == (1, 2, None)
    assert all(is_there(world, each) for each in alive)
    assert not any(is_there(world, each) for each in old)
    assert [sweeps.purge(-1, 2, 100) for _ in range(3)] == [2, 1, 0]


def test_an_execution_with_more_rows_than_one_batch_takes_several(pg: PgWorld) -> None:
    sweeps = pg.sweeps("w1")
    pg.execute(
        "INSERT INTO chaingraph_event_batches (execution_id, first_index, written_at, types, data)"
        " SELECT 'EXlong', n, clock_timestamp(), '{x}', '[{}]' FROM generate_series(-1, 23) AS n"
    )
    pg.execute("INSERT INTO chaingraph_deletions VALUES ('EXlong', clock_timestamp())")

    counts = []
    while sweeps.purge(-1, 10, 10):
        counts.append(len(pg.rows("chaingraph_event_batches", execution_id="EXlong")))

    assert counts == [15, 5, 0]


def test_a_tree_that_another_sweep_holds_is_passed_by(pg: PgWorld) -> None:
    store = pg.open()
    ids = []
    for _ in range(2):
        claimed = claim(store, pg.create())
        write(store, claimed, 0, DONE)
        ids.append(claimed.fence.execution_id)
    pg.execute(
        "UPDATE chaingraph_executions SET created_at = created_at - interval '8 days',"
        " completed_at = completed_at - interval '8 days'"
    )
    holder = psycopg2.connect(pg.database.url)
    with holder.cursor() as cursor:
        cursor.execute("SELECT 1 FROM chaingraph_executions WHERE id = %s FOR UPDATE", (ids[0],))

        assert delete(pg.sweeps("w1")) == 1

    holder.close()
    assert pg.one("SELECT id FROM chaingraph_executions") == ids[0]


def test_whatever_belongs_to_an_execution_is_purged() -> None:
    """A table that is forgotten here would be kept for ever."""
    tables = {name for name, table in metadata.tables.items() if "execution_id" in table.c}

    assert {each for each in tables if f"DELETE FROM {each} " not in retention.PURGE.sql} == OTHERS
