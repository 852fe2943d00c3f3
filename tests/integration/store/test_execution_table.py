"""The suite that every store passes: creating and starting executions."""

from __future__ import annotations

import threading

import pytest

from app.caller import Caller
from app.store.executions import DuplicateId
from tests.integration.store.boundaries import claim
from tests.world import PgWorld, World


def test_created_executions_have_their_first_event_at_the_time_of_the_row(world: World) -> None:
    rows = [world.new(start=number % 2 == 0) for number in range(3)]

    at = world.table.create(rows)

    for new in rows:
        row = world.row(new.id)
        assert (row.status, row.root_execution_id, row.created_at) == ("created", new.id, at)
        assert (row.start_requested_at is not None) == new.start_requested
        assert (row.runnable_at is not None) == new.start_requested
        assert world.events(new.id) == [(-1, "execution:created", '{"flowId":"V2flow"}')]
        assert row.last_event_index == -1


def test_of_a_batch_with_a_fault_nothing_is_created(world: World) -> None:
    existing = world.create()
    fresh = world.new()

    with pytest.raises(DuplicateId):
        world.table.create([fresh, world.new(id=existing)])

    assert [row.id for row in world.rows("chaingraph_executions")] == [existing]
    assert world.events(fresh.id) == []


def test_a_row_that_can_not_be_is_refused(pg: PgWorld) -> None:
    with pytest.raises(Exception, match="ck_chaingraph_executions_priority"):
        pg.table.create([pg.new(), pg.new(priority=10)])

    assert pg.rows("chaingraph_executions") == []


def test_a_thousand_are_created_at_once_in_order(world: World) -> None:
    rows = [world.new() for _ in range(1000)]

    world.table.create(rows)

    assert world.table.next_runnable() == rows[0].id
    assert claim(world.open(), None).fence.execution_id == rows[0].id


def test_of_many_starts_at_once_exactly_one_is_the_first(world: World) -> None:
    execution = world.create(start=False)
    ready = threading.Barrier(20)
    answers: list[bool] = []

    def start() -> None:
        ready.wait()
        answers.append(bool(world.table.request_start(execution)))

    threads = [threading.Thread(target=start) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [False] * 19 + [True]
    row = world.row(execution)
    assert row.start_requested_at is not None
    assert row.runnable_at is not None
    assert row.wake == 1


def test_what_was_started_with_its_creation_is_not_started_again(world: World) -> None:
    execution = world.create()

    assert not world.table.request_start(execution)
    claim(world.open(), execution)
    assert not world.table.request_start(execution)
    assert not world.table.request_start("EXunknown")


@pytest.mark.parametrize("status", ["failed", "stopped"])
def test_what_has_ended_is_not_started(world: World, status: str) -> None:
    execution = world.create(start=False)
    world.change("chaingraph_executions", {}, status=status, completed_at=world.now())

    assert not world.table.request_start(execution)
    assert world.row(execution).runnable_at is None


def test_another_owners_is_not_started_but_by_who_sees_all(world: World) -> None:
    execution = world.create(start=False, owner_id="ada")

    assert not world.table.request_start(execution, Caller("bob"))
    assert world.row(execution).start_requested_at is None
    assert world.table.request_start(execution, Caller("root", "admin"))


def test_a_start_lets_a_worker_claim(world: World) -> None:
    execution = world.create(start=False)

    assert world.table.request_start(execution)

    assert claim(world.open(), execution).fence.execution_id == execution


def test_the_backlog_is_nothing_that_is_owned(world: World) -> None:
    assert world.table.next_runnable() is None
    execution = world.create()
    assert world.table.next_runnable() == execution
    claim(world.open(), None)
    assert world.table.next_runnable() is None
    assert world.sweeps("sweeper").left_lying(0, 10) == []
