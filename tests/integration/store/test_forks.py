"""The suite that every store passes: an execution that begins with checkpoints of another."""

from __future__ import annotations

import threading

import pytest

from app.caller import LOCAL, Caller
from app.store.forks import HOLD_SOURCE, Forked, ForkTable, KeyTaken, SourceGone
from app.store.keys import KeyTable, RequestKey
from app.store.protocol import RunStore
from app.store.records import Fork, Progress, ResolutionRow
from tests.integration.store.boundaries import boundary, checkpoint, claim, write
from tests.waiting import wait_until
from tests.world import PgWorld, World

KEY = RequestKey("local", "POST /fork", "k", "hash")


@pytest.fixture
def source(world: World, store: RunStore) -> str:
    """A running execution: a and b have ended, b gave an output before, c waits."""
    execution_id = world.create()
    claimed = claim(store, execution_id)
    rows = [checkpoint("a", seq=0, attempt=3), checkpoint("b", seq=2)]
    given = [ResolutionRow("b", 1, '{"out":[1]}')]
    write(store, claimed, 0, boundary("flow:started", checkpoints=rows, resolutions=given))
    waits = checkpoint("c", seq=3, status="waiting", outputs='{"$signal":"go"}')
    write(store, claimed, 1, boundary(checkpoints=[waits]))
    return execution_id


def fork_of(source: str, *nodes: str) -> Fork:
    return Fork(source, nodes, Progress(len(nodes), 0, 1))


def test_it_has_what_it_took_over_and_nothing_else(
    world: World, store: RunStore, source: str
) -> None:
    new = world.new()

    made = ForkTable(world.database).create(new, fork_of(source, "a", "b"), LOCAL)

    assert isinstance(made, Forked)
    row = world.row(new.id)
    assert (row.forked_from, row.status, row.started_at) == (source, "created", None)
    assert (row.nodes_completed, row.nodes_failed, row.nodes_skipped) == (2, 0, 1)
    assert made.at == row.created_at
    taken = store.checkpoints(new.id)
    assert taken == [each for each in store.checkpoints(source) if each.node_id != "c"]
    assert [each.attempt for each in taken] == [3, 0, 1]
    [there] = world.rows("chaingraph_checkpoints", execution_id=source, node_id="a")
    [here] = world.rows("chaingraph_checkpoints", execution_id=new.id, node_id="a")
    assert (here.started_at, here.worker_id) == (there.started_at, there.worker_id)
    assert [type_ for _, type_, _ in world.events(new.id)] == ["execution:created"]


def test_nothing_may_be_taken_over(world: World, store: RunStore, source: str) -> None:
    new = world.new()
    assert isinstance(ForkTable(world.database).create(new, fork_of(source), LOCAL), Forked)
    assert store.checkpoints(new.id) == []


def test_who_claims_it_is_told_that_it_is_a_fork(
    world: World, store: RunStore, source: str
) -> None:
    new = world.new()
    ForkTable(world.database).create(new, fork_of(source, "a"), LOCAL)

    claimed = claim(store, new.id, "w2")

    assert (claimed.is_fork, claimed.begun) == (True, False)
    found = store.find_claim("w2", "token of w2")
    assert found is not None
    assert (found.fence, found.is_fork) == (claimed.fence, True)
    assert not claim(store, world.create(), "w3").is_fork


def test_of_one_that_was_deleted_nothing_is_made(
    world: World, store: RunStore, source: str
) -> None:
    new = world.new()
    world.forget(source)

    made = ForkTable(world.database).create(new, fork_of(source, "a"), LOCAL, KEY)

    assert made == SourceGone()
    assert store.checkpoints(new.id) == []
    assert world.rows("chaingraph_executions", id=new.id) == []
    assert KeyTable(world.database).find(KEY) is None


def test_under_one_key_there_is_one(world: World, source: str) -> None:
    forks, first, second = ForkTable(world.database), world.new(), world.new()

    assert isinstance(forks.create(first, fork_of(source, "a"), LOCAL, KEY), Forked)
    assert forks.create(second, fork_of(source, "a"), LOCAL, KEY) == KeyTaken()

    known = KeyTable(world.database).find(KEY)
    assert known is not None
    assert known.created_ids == [first.id]
    assert world.rows("chaingraph_executions", id=second.id) == []


def test_it_is_noted_who_made_it(pg: PgWorld) -> None:
    source, new = pg.create(), pg.new()
    ForkTable(pg.database).create(new, fork_of(source), Caller("ada", "user", "TK1"))
    [row] = pg.execute("SELECT * FROM chaingraph_audit")
    assert (row.owner_id, row.token_id, row.action) == ("ada", "TK1", "fork")
    assert (row.subject_kind, row.subject_id) == ("execution", new.id)


def test_its_owner_writes_on_meanwhile_and_retention_waits(pg: PgWorld) -> None:
    source = pg.create()

    def delete() -> None:
        connection = pg.connect()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM chaingraph_executions WHERE id = %s", (source,))
        connection.close()

    deletion = threading.Thread(target=delete)
    with pg.database.session() as session, session.transaction():
        session.execute(HOLD_SOURCE, source)
        pg.execute("UPDATE chaingraph_executions SET writes = writes + 1 WHERE id = %s", source)
        deletion.start()
        wait_until(
            lambda: pg.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"),
            "the deletion waits",
        )
        assert pg.row(source).writes == 1
    deletion.join()
    assert pg.execute("SELECT id FROM chaingraph_executions WHERE id = %s", source) == []
