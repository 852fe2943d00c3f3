"""An end from outside that waits for a row finds what whoever had it locked has done meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from app.store.commands import PgCommandStore
from app.store.run_statements import CLAIM_ONE
from app.store.sessions import StatementSession
from app.store.step_statements import POST_STEPS
from tests.integration.store.boundaries import LEASE_MS, boundary, claim, write
from tests.integration.store.locks import await_lock
from tests.world import PgWorld

CLAIMS = "chaingraph_execution_claims"


@contextmanager
def stopped_meanwhile(
    pg: PgWorld, beside: ThreadPoolExecutor, execution_id: str
) -> Iterator[StatementSession]:
    """Stop it while the transaction of the block is open; the block's end commits that first."""
    with pg.database.session() as session:
        with session.transaction():
            yield session
            stops = PgCommandStore(pg.database)
            stopping = beside.submit(stops.stop, execution_id, "by user")
            await_lock(pg, stopping)
        assert stopping.result(60)


@pytest.mark.parametrize("claimed", ["parent", "child"])
def test_a_first_claim_that_came_before_is_released(
    pg: PgWorld, beside: ThreadPoolExecutor, claimed: str
) -> None:
    tree = {"parent": pg.create(), "child": pg.create()}
    pg.adopt(tree["child"], tree["parent"])
    with stopped_meanwhile(pg, beside, tree["parent"]) as session:
        assert session.execute(CLAIM_ONE, "w1", "token", LEASE_MS, tree[claimed])
    [left] = pg.rows(CLAIMS, execution_id=tree[claimed])
    assert (left.status, left.worker_id) == ("released", "w1")


def test_steps_that_were_sent_before_are_forgotten(pg: PgWorld, beside: ThreadPoolExecutor) -> None:
    claimed = claim(pg.open(), pg.create())
    write(pg.open(), claimed, 0, boundary("flow:started"))
    fence = claimed.fence
    with stopped_meanwhile(pg, beside, fence.execution_id) as session:
        assert session.execute(POST_STEPS, fence.execution_id, fence.epoch, ["a"], [1], ["default"])
    assert {each.node_id for each in pg.rows(CLAIMS, execution_id=fence.execution_id)} == {""}
