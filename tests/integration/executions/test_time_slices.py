"""A long run among others: its slot goes round."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.executions import slicing
from app.executions.run import RunEnd
from tests.integration.executions.nodes import effect, node_that
from tests.integration.executions.process import (
    Process,
    chain,
    checkpoints,
    execution_of,
    flow,
    node,
    told,
)
from tests.world import PgWorld


@pytest.fixture(autouse=True)
def _every_slice_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slicing, "SLICE_S", 0.0)
    monkeypatch.setattr(slicing, "WAITING_MS", 0)


def long_run(length: int = 3) -> dict[str, Any]:
    return chain(*(node(f"n{number}", "EffectNode") for number in range(length)))


def test_a_run_whose_slice_is_over_gives_way_to_who_waits(world: PgWorld, process: Process) -> None:
    long, waiting = (execution_of(world, long_run()) for _ in range(2))

    assert process.run(long, effect) is RunEnd.RELEASED

    assert list(checkpoints(world, long)) == ["n0"]
    row = world.row(long)
    assert (row.failure_count, row.crashes, row.processing_worker_id) == (0, 0, None)
    assert row.runnable_at is not None
    taken = process.store.claim("w1", "t", 1000, None)
    assert taken.fence.execution_id == waiting


def test_a_run_goes_on_where_nobody_waits(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, long_run())

    assert process.run(execution, effect) is RunEnd.FINISHED
    assert process.store.calls.count("others_wait") == 2


def test_who_is_less_urgent_is_not_given_way_to(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, long_run(), priority=6)
    execution_of(world, long_run(), priority=5)

    assert process.run(execution, effect) is RunEnd.FINISHED


def test_who_waits_is_asked_for_once_the_slice_is_over(
    world: PgWorld, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicing, "SLICE_S", 600.0)
    execution = execution_of(world, long_run())
    execution_of(world, long_run())

    assert process.run(execution, effect) is RunEnd.FINISHED
    assert "others_wait" not in process.store.calls


def test_a_slice_begins_with_the_first_node_however_long_the_restore_took(
    world: PgWorld, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicing, "SLICE_S", 600.0)
    execution = execution_of(world, long_run())
    execution_of(world, long_run())
    ahead_s = 0.0

    def clock() -> float:
        return time.monotonic() + ahead_s

    run = process.claim(process.around(effect, clock=clock, lease_s=3600.0), execution)
    ahead_s = 601.0

    assert run.drive() is RunEnd.FINISHED
    assert "others_wait" not in process.store.calls


def test_what_ends_now_does_not_give_way(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, flow(node("a", "EffectNode")))
    execution_of(world, long_run())

    assert process.run(execution, effect) is RunEnd.FINISHED
    assert "others_wait" not in process.store.calls


def test_slices_go_round_until_all_are_done(world: PgWorld, process: Process) -> None:
    ids = [execution_of(world, long_run()) for _ in range(3)]
    order: list[str] = []
    taking_part = node_that(lambda ctx: order.append(ctx.execution_id), "EffectNode")
    executor = process.executor(process.around(taking_part))

    while executor.work():
        pass

    assert [world.row(each).status for each in ids] == ["completed"] * 3
    assert order == ids * 3
    for each in ids:
        assert list(checkpoints(world, each)) == ["n0", "n1", "n2"]
        events = told(world, each)
        assert len(events) == len(set(events))
