"""A stop goes down a tree that grows meanwhile, each child made by the write of its parent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from app.store import commands
from app.store.commands import PgCommandStore
from app.store.database import Statement
from app.store.ending_statements import END
from app.store.endings import OuterEnding
from app.store.records import Family, NewChild, Void
from app.store.runs import PgRunStore
from tests.integration.store.boundaries import boundary
from tests.simulation.database import SimDatabase
from tests.simulation.lines import StoreServer
from tests.simulation.postgres import PostgresStore
from tests.simulation.scheduler import Host, Scheduler

SEEDS = 40
#: How deep the tree grows.
DEPTH = 3

CREATE_ROOT = """
    INSERT INTO chaingraph_executions (id, flow_id, flow_version, owner_id, root_execution_id,
        status, started_at, created_at, updated_at, start_requested_at, runnable_at, options)
    VALUES ('root', 'V2row', 1, 'local', 'root', 'running', now(), now(), now(), now(), now(), '{}')
"""
#: (execution): what descends from it now.
DESCENDANTS = Statement(
    "descendants",
    "text",
    """
    WITH RECURSIVE below AS (
        SELECT id FROM chaingraph_executions WHERE id = $1
        UNION ALL
        SELECT e.id FROM chaingraph_executions AS e JOIN below ON e.parent_execution_id = below.id
    )
    SELECT id FROM below
    """,
)


@pytest.fixture(scope="module")
def store(new_database: Callable[[], str]) -> Iterator[PostgresStore]:
    store = PostgresStore(new_database())
    yield store
    store.close()


def child_of(parent: str, number: int) -> NewChild:
    id_ = f"{parent}.{number}"
    return NewChild(id_, "emit", number, "V2row", 1, 3, "{}")


def left_running(seed: int, store: PostgresStore) -> Sequence[str]:
    """Stop a root while its descendants have children; gives what the stop left unfinished."""
    scheduler = Scheduler(seed)
    backend = store.world(scheduler)
    store.run(CREATE_ROOT)
    server = StoreServer(scheduler)
    database: Any = SimDatabase(server, backend)

    def grow(parent: str, depth: int) -> None:
        run = PgRunStore(database)
        claimed = run.claim(parent, "token", 10_000, parent)
        for number in range(2):
            if claimed is None or not depth:
                return
            child = f"{parent}.{number}"
            made = boundary("child:spawned", family=Family([child_of(parent, number)]))
            outcome = run.write(claimed.fence, claimed.writes + number, made)
            if isinstance(outcome, Void):
                return
            scheduler.spawn(Host(child), "run", lambda child=child: grow(child, depth - 1))

    scheduler.spawn(Host("root"), "run", lambda: grow("root", DEPTH))
    scheduler.spawn(Host("api"), "stop", lambda: PgCommandStore(database).stop("root", "enough"))
    while not scheduler.is_idle:
        scheduler.step()
        assert not scheduler.crashes, scheduler.crashes
    left = store.run("SELECT id FROM chaingraph_executions WHERE completed_at IS NULL")
    backend.close()
    return [row[0] for row in left]


def test_nothing_that_descends_is_left(store: PostgresStore) -> None:
    for seed in range(SEEDS):
        assert left_running(seed, store) == [], f"seed {seed}"


def test_a_stop_without_a_second_look_at_children(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_what_is_seen(session: Any, ids: Sequence[str], ending: OuterEnding) -> list[Any]:
        seen = [row[0] for row in session.execute(DESCENDANTS, ids[0])]
        session.execute(END, seen, ending.status, ending.message, None)
        return []

    monkeypatch.setattr(commands, "end_tree", end_what_is_seen)

    assert any(left_running(seed, store) for seed in range(SEEDS))
