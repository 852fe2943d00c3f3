"""What a process that is told to end does with nodes that take longer than it may wait."""

from __future__ import annotations

import threading

import pytest

from app.errors import NodeCancelled
from app.executions.run import RunEnd
from app.executions.steps import Step
from app.nodes.sdk import NodeContext
from tests.integration.executions.losing import Gate, stuck_at
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
from tests.integration.executions.sending import Sent
from tests.waiting import wait_until
from tests.world import PgWorld


def test_a_run_that_is_given_up_is_handed_over_and_nothing_is_counted(
    world: PgWorld, process: Process, other: Process
) -> None:
    execution = execution_of(world, chain(node("a", "EffectNode"), node("b", "ProbeNode")))
    gate = Gate()
    driven = stuck_at(process, execution, gate)

    driven.run.give_up()

    assert driven.end() is RunEnd.RELEASED
    row = world.row(execution)
    assert (row.failure_count, row.crashes, row.processing_worker_id) == (0, 0, None)
    assert world.recoveries(execution) == []
    attempts: list[int] = []
    again = node_that(lambda ctx: attempts.append(ctx.attempt))
    assert other.run(execution, effect, again) is RunEnd.FINISHED
    assert attempts == [2]
    assert {each: row.attempt for each, row in checkpoints(world, execution).items()} == {
        "a": 1,
        "b": 2,
    }
    told(world, execution)
    gate.open()


def test_what_ended_before_is_kept_when_its_sibling_is_given_up(
    world: PgWorld, process: Process, other: Process
) -> None:
    execution = execution_of(world, flow(node("a", "ProbeNode"), node("b", "QuickNode")))
    gate, quick = Gate(), node_that(lambda _: None, "QuickNode", effects=False)
    run = process.claim(process.around(node_that(gate), quick), execution)
    driven = process.start(run)
    wait_until(lambda: "node:completed b" in told(world, execution), "b is done")

    run.give_up()

    assert driven.end() is RunEnd.RELEASED
    assert list(checkpoints(world, execution)) == ["b"]
    assert other.run(execution, effect, node_that(lambda _: None), quick) is RunEnd.FINISHED
    assert told(world, execution).count("node:started b") == 1
    gate.open()


def test_a_node_that_is_given_up_is_asked_to_end(world: PgWorld, process: Process) -> None:
    begun, ended = threading.Event(), threading.Event()

    def patient(ctx: NodeContext) -> None:
        begun.set()
        try:
            while True:
                ctx.sleep(1000)
        finally:
            ended.set()

    execution = execution_of(world, flow(node("a", "ProbeNode")))
    run = process.claim(process.around(node_that(patient)), execution)
    driven = process.start(run)
    # That it is granted is told before it begins.
    assert begun.wait(60)

    run.give_up()

    assert driven.end() is RunEnd.RELEASED
    wait_until(ended.is_set, "the node has ended")


def test_a_sent_step_that_is_given_up_is_sent_on_and_nothing_is_counted(
    world: PgWorld, process: Process
) -> None:
    gate = Gate()
    execution = execution_of(world, flow(node("a", "ProbeNode", queue="slow")))
    sent = Sent(process, (node_that(gate),))
    assert sent.advance(execution) is RunEnd.PARKED
    stepping = threading.Thread(target=sent.run_step)
    stepping.start()
    wait_until(lambda: gate.reached, "the step runs")

    for run in sent.executor.running():
        run.give_up()

    stepping.join(60)
    assert not stepping.is_alive()
    assert (sent.steps, sent.queues) == ([(execution, "a")], ["slow", "slow"])
    assert world.row(execution).failure_count == 0
    gate.open()
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.FINISHED
    assert world.row(execution).status == "completed"
    assert gate.reached == [1, 1]


@pytest.mark.parametrize("error", [None, NodeCancelled("told to end")])
def test_what_a_node_hands_in_after_its_run_was_given_up_is_not_entered(
    world: PgWorld, process: Process, other: Process, error: NodeCancelled | None
) -> None:
    def half_done(_: NodeContext) -> None:
        if error is not None:
            raise error

    def give_up_and_end(step: Step) -> None:
        # Both are in the inbox when the run looks.
        runs[0].give_up()
        step.run()

    execution = execution_of(world, flow(node("a", "ProbeNode")))
    around = process.around(node_that(half_done), launch=give_up_and_end)
    runs = [process.claim(around, execution)]

    assert runs[0].drive() is RunEnd.RELEASED

    assert world.row(execution).status == "running"
    assert checkpoints(world, execution) == {}
    assert other.run(execution, node_that(lambda _: None)) is RunEnd.FINISHED
    assert world.row(execution).status == "completed"


def test_what_a_node_hands_in_just_before_its_run_is_given_up_is_kept_and_told(
    world: PgWorld, process: Process, other: Process
) -> None:
    def end_and_give_up(step: Step) -> None:
        # Both are in the inbox when the run looks.
        step.run()
        runs[0].give_up()

    began: list[int] = []
    probe = node_that(lambda ctx: began.append(ctx.attempt))
    execution = execution_of(world, flow(node("a", "ProbeNode")))
    runs = [process.claim(process.around(probe, launch=end_and_give_up), execution)]

    assert runs[0].drive() is RunEnd.RELEASED

    assert list(checkpoints(world, execution)) == ["a"]
    assert told(world, execution).count("node:completed a") == 1
    assert other.run(execution, probe) is RunEnd.FINISHED
    assert began == [1]
