"""What a node boundary costs PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.store.boundaries import DONE, boundary, checkpoint, claim, write
from tests.waiting import wait_until
from tests.world import PgWorld

EXECUTIONS = 34
BOUNDARIES = 6


def run_w5(pg: PgWorld) -> None:
    """As an execution of five nodes with effects is written."""
    store = pg.open()
    claimed = claim(store, None)
    write(store, claimed, 0, boundary("flow:started", "node:started", grants='{"n0":1}'))
    for seq in range(BOUNDARIES - 2):
        step = boundary(
            "node:completed",
            "node:started",
            checkpoints=[checkpoint(f"n{seq}", seq=seq)],
            grants=f'{{"n{seq + 1}":1}}',
        )
        write(store, claimed, seq + 1, step)
    write(store, claimed, BOUNDARIES - 1, DONE)
    store.close()


@pytest.fixture
def fresh(database_url: str) -> Iterator[PgWorld]:
    """A database whose statistics are this test's alone."""
    world = PgWorld(database_url)
    yield world
    world.close()


def test_node_boundaries_update_in_place(fresh: PgWorld) -> None:
    for _ in range(EXECUTIONS):
        fresh.create()
    for _ in range(EXECUTIONS):
        run_w5(fresh)

    wanted = EXECUTIONS * (BOUNDARIES + 1)
    wait_until(lambda: statistics(fresh)[0] == wanted, "the statistics are in")

    assert statistics(fresh)[1] >= 0.8 * wanted


def statistics(pg: PgWorld) -> tuple[int, int]:
    """Updates of executions so far, and how many of them were heap-only."""
    [row] = pg.execute(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
        " WHERE relname = 'chaingraph_executions'"
    )
    return row.n_tup_upd, row.n_tup_hot_upd
