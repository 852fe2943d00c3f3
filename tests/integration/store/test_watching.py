"""Who writes events is told whether anybody watches: no event falls between the two."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from psycopg2.extensions import connection

from app.store.events import EventLog
from app.store.protocol import RunStore
from app.store.records import Ending
from tests.integration.store.boundaries import boundary, claim, write
from tests.integration.store.locks import await_lock
from tests.world import PgWorld, World


@pytest.fixture
def log(world: World) -> EventLog:
    return EventLog(world.database)


def test_a_write_tells_whether_somebody_ever_watched(
    store: RunStore, world: World, log: EventLog
) -> None:
    claimed = claim(store, world.create())
    execution_id = claimed.fence.execution_id
    assert not write(store, claimed, 0, boundary("flow:started")).is_watched
    assert log.watch([execution_id, "EXunknown"]) == []
    assert log.watch([execution_id]) == []
    assert write(store, claimed, 1, boundary("node:started")).is_watched
    assert write(
        store, claimed, 2, boundary("execution:completed", ending=Ending("completed"))
    ).is_watched


def test_what_is_over_is_not_written_to(store: RunStore, world: World, log: EventLog) -> None:
    claimed = claim(store, world.create())
    write(store, claimed, 0, boundary("execution:completed", ending=Ending("completed")))
    before = world.row(claimed.fence.execution_id)
    assert log.watch([claimed.fence.execution_id]) == []
    assert world.row(claimed.fence.execution_id) == before


@pytest.fixture
def other(pg: PgWorld) -> Iterator[connection]:
    """A transaction that stays open as long as a test likes."""
    session = psycopg2.connect(pg.database.url)
    yield session
    session.close()


def test_who_begins_to_watch_waits_for_nobody_and_reads_what_was_written_meanwhile(
    pg: PgWorld, other: connection
) -> None:
    store, log = pg.open(), EventLog(pg.database)
    execution_id, free = (claim(store, pg.create()).fence.execution_id for _ in range(2))
    with other.cursor() as cursor:
        cursor.execute(
            "UPDATE chaingraph_executions SET last_event_index = 41 WHERE id = %s RETURNING watched",
            (execution_id,),
        )
        assert cursor.fetchall() == [(False,)]
    # That it comes back at all shows that it doesn't wait: the lock is held here.
    assert log.watch([execution_id, free]) == [execution_id]
    assert pg.row(free).watched
    other.commit()
    assert log.watch([execution_id]) == []
    head = log.head(execution_id)
    assert head is not None
    assert head.last_event_index == 41


def test_who_writes_waits_for_a_watch_under_way_and_is_told(
    pg: PgWorld, other: connection, beside: ThreadPoolExecutor
) -> None:
    store = pg.open()
    claimed = claim(store, pg.create())
    with other.cursor() as cursor:
        cursor.execute(
            "UPDATE chaingraph_executions SET watched = true WHERE id = %s",
            (claimed.fence.execution_id,),
        )
    writing = beside.submit(write, store, claimed, 0, boundary("flow:started"))
    await_lock(pg, writing)
    other.commit()
    assert writing.result(60).is_watched
