"""How much there is, as both stores count it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from app.store import census
from app.store.census import Census
from app.store.records import WorkerRow
from tests.integration.store.boundaries import claim
from tests.world import PgWorld, World

Counted = Callable[[], dict[tuple[str, str], float]]


@pytest.fixture
def counted(world: World) -> Iterator[Counted]:
    made = Census(world.database)
    yield lambda: {(what, kind): value for what, kind, value in made.figures()}
    made.close()


def test_of_nothing_there_is_nothing(counted: Counted) -> None:
    found = counted()
    assert set(found.values()) == {0}
    assert ("executions", "created") not in found


def test_everything_is_counted_where_it_stands(world: World, counted: Counted) -> None:
    for _ in range(3):
        world.create()
    world.create(start=False)
    store = world.open()
    claim(store, None)
    for worker_id, parent in (("w1", None), ("w1/1", "w1"), ("w2", None)):
        row = WorkerRow(
            worker_id, parent, "h", 1, "threads", 4, ["default"], 10_000, hash(worker_id)
        )
        world.leases(row).register()
    assert world.sweeps("w1").take_beat(1000) == 0
    found = counted()
    assert found["executions", "created"] == 4
    assert found["runnable", ""] == 2
    assert found["runnable_oldest", ""] > 0
    assert (found["claims", "execution"], found["claims", "step"]) == (1, 0)
    assert (found["timers", ""], found["timers_overdue", ""]) == (1, 0)
    assert (found["workers", ""], found["slots", ""]) == (2, 8)
    assert found["sweep_age", ""] >= 0


def test_a_timer_that_nobody_fires_is_overdue(world: World, counted: Counted) -> None:
    execution_id = world.create(start=False)
    at = world.row(execution_id).created_at
    world.change("chaingraph_executions", {"id": execution_id}, wake_at=at)
    assert counted()["timers_overdue", ""] > 0


def test_a_step_that_nobody_takes_is_told_by_its_queue(world: World, counted: Counted) -> None:
    execution_id = world.create()
    store = world.open()
    fence = claim(store, execution_id).fence
    assert store.post_steps(fence, {"a": 1, "b": 1}, {"a": "gpu", "b": "gpu"})
    assert counted()["steps_waiting", "gpu"] == 2
    assert store.claim_step(execution_id, "a", "w9", 10_000) is not None
    found = counted()
    assert (found["steps_waiting", "gpu"], found["claims", "step"]) == (1, 1)


def test_a_large_table_is_sampled(pg: PgWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one page in four, say, the number of all is told, not of those that were read."""
    for _ in range(400):
        pg.create(start=False)
    pages = pg.one("SELECT pg_relation_size('chaingraph_executions') / 8192")
    wanted = max(1, pages // 4)
    sql = census.CENSUS.sql.replace(f"{census.PAGES}::float8", f"{wanted}::float8")
    sql = sql.replace(f"100.0 * {census.PAGES}", f"100.0 * {wanted}")
    assert str(census.PAGES) not in sql
    monkeypatch.setattr(census, "CENSUS", census.Statement("census_of_few", "", sql))
    of_all = Census(pg.database)
    found = [
        sum(value for what, _, value in of_all.figures() if what == "executions") for _ in range(20)
    ]
    of_all.close()
    assert pages > 8
    # Each time other pages are drawn.
    assert len(set(found)) > 1
    assert 200 < sum(found) / len(found) < 800
