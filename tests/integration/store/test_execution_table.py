"""Creating and starting executions, on PostgreSQL."""

from __future__ import annotations

import threading

import pytest

from app.store.executions import DuplicateId
from app.store.sweeps import PgSweepStore
from tests.integration.store.boundaries import claim
from tests.world import PgWorld


def test_created_executions_have_their_first_event_at_the_time_of_the_row(pg: PgWorld) -> None:
    rows = [pg.new(start=number % 2 == 0) for number in range(3)]

    at = pg.table.create(rows)

    for new in rows:
        row = pg.row(new.id)
        assert (row.status, row.root_execution_id, row.created_at) == ("created", new.id, at)
        assert (row.start_requested_at is not None) == new.start_requested
        assert (row.runnable_at is not None) == new.start_requested
        assert pg.events(new.id) == [(-1, "execution:created", '{"flowId":"V2flow"}')]
        assert row.last_event_index == -1


def test_of_a_batch_with_a_fault_nothing_is_created(pg: PgWorld) -> None:
    existing = pg.create()
    fresh = pg.new()

    with pytest.raises(DuplicateId):
        pg.table.create([fresh, pg.new(id=existing)])
    with pytest.raises(Exception, match="ck_chaingraph_executions_priority"):
        pg.table.create([pg.new(), pg.new(priority=10)])

    assert pg.one("SELECT count(*) FROM chaingraph_executions") == 1
    assert pg.events(fresh.id) == []


def test_a_thousand_are_created_at_once_in_order(pg: PgWorld) -> None:
    rows = [pg.new() for _ in range(1000)]

    pg.table.create(rows)

    assert pg.table.next_runnable() == rows[0].id
    assert claim(pg.open(), None).fence.execution_id == rows[0].id


def test_of_many_starts_at_once_exactly_one_is_the_first(pg: PgWorld) -> None:
    execution = pg.create(start=False)
    ready = threading.Barrier(20)
    answers: list[bool] = []

    def start() -> None:
        ready.wait()
        answers.append(bool(pg.table.request_start(execution)))

    threads = [threading.Thread(target=start) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [False] * 19 + [True]
    row = pg.row(execution)
    assert row.start_requested_at is not None
    assert row.runnable_at is not None
    assert row.wake == 1


def test_what_was_started_with_its_creation_is_not_started_again(pg: PgWorld) -> None:
    execution = pg.create()

    assert not pg.table.request_start(execution)
    claim(pg.open(), execution)
    assert not pg.table.request_start(execution)
    assert not pg.table.request_start("EXunknown")


@pytest.mark.parametrize("status", ["failed", "stopped"])
def test_what_has_ended_is_not_started(pg: PgWorld, status: str) -> None:
    execution = pg.create(start=False)
    pg.execute(
        "UPDATE chaingraph_executions SET status = %s, completed_at = clock_timestamp()", status
    )

    assert not pg.table.request_start(execution)
    assert pg.row(execution).runnable_at is None


def test_a_start_lets_a_worker_claim(pg: PgWorld) -> None:
    execution = pg.create(start=False)

    assert pg.table.request_start(execution)

    assert claim(pg.open(), execution).fence.execution_id == execution


def test_the_backlog_is_nothing_that_is_owned(pg: PgWorld) -> None:
    assert pg.table.next_runnable() is None
    execution = pg.create()
    assert pg.table.next_runnable() == execution
    claim(pg.open(), None)
    assert pg.table.next_runnable() is None
    sweeps = PgSweepStore(pg.database, "sweeper")
    assert sweeps.left_lying(0, 10) == []
    sweeps.close()
