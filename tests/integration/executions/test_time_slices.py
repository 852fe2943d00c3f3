"""A long run among others: its slot goes round."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from app.executions import slicing
from app.executions.run import RunEnd
from app.nodes.sdk import NodeContext, Stream
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
from tests.integration.executions.test_streams import Signal, piped, reader, sender
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


def overlapping() -> dict[str, Any]:
    """Two nodes in a row, and one beside them."""
    edges = [{"source": "a1.text", "target": "a2.text"}]
    return flow(*(node(each, "EffectNode") for each in ("a1", "a2", "b")), edges=edges)


class Overlap:
    """`b` runs until `a2` has begun, for so long (s) at most: there is always a node in flight."""

    def __init__(self, patience_s: float) -> None:
        self.begun: list[str] = []
        self._a2_began, self._b_began = threading.Event(), threading.Event()
        self._patience_s = patience_s

    def __call__(self, ctx: NodeContext) -> None:
        self.begun.append(ctx.node_id)
        match ctx.node_id:
            case "a1":
                assert self._b_began.wait(20)
            case "a2":
                self._a2_began.set()
            case "b":
                self._b_began.set()
                self._a2_began.wait(self._patience_s)


def test_a_run_whose_branches_overlap_waits_for_its_nodes_in_flight_and_gives_way(
    world: PgWorld, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicing, "HOLD_S", 60.0)
    execution = execution_of(world, overlapping())
    execution_of(world, long_run())
    nodes = Overlap(patience_s=0.3)

    assert process.run(execution, node_that(nodes, "EffectNode")) is RunEnd.RELEASED

    assert sorted(nodes.begun) == ["a1", "b"]
    assert sorted(checkpoints(world, execution)) == ["a1", "b"]


def test_nodes_that_take_long_hold_those_beside_them_up_for_a_while_only(
    world: PgWorld, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicing, "HOLD_S", 0.05)
    execution = execution_of(world, overlapping())
    execution_of(world, long_run())
    nodes = Overlap(patience_s=60.0)

    assert process.run(execution, node_that(nodes, "EffectNode")) is RunEnd.FINISHED
    assert sorted(nodes.begun) == ["a1", "a2", "b"]


def test_who_reads_a_stream_begins_beside_the_node_that_sends_it(
    world: PgWorld, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicing, "HOLD_S", 60.0)
    answered = Signal()

    def send(_: NodeContext, stream: Any) -> None:
        stream.send("a")
        answered.wait()

    def read(_: NodeContext, stream: Stream[str]) -> str:
        answered.give()
        return "".join(stream)

    execution = execution_of(world, piped())
    execution_of(world, long_run())

    assert process.run(execution, sender(send), reader(read)) is RunEnd.FINISHED


def test_a_worker_that_is_told_to_end_while_a_run_is_held_hands_it_over_as_ever(
    world: PgWorld, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicing, "HOLD_S", 0.05)
    execution = execution_of(world, overlapping())
    execution_of(world, long_run())
    nodes, draining = Overlap(patience_s=0.3), threading.Event()

    def drain(ctx: NodeContext) -> None:
        if ctx.node_id == "a1":
            draining.set()
        nodes(ctx)

    target = node_that(drain, "EffectNode")
    assert process.run(execution, target, is_draining=draining.is_set) is RunEnd.RELEASED
    assert sorted(nodes.begun) == ["a1", "b"]
    assert "give_way" not in process.store.calls
