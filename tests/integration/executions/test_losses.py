"""Crashes, zombies, outages: each node's checkpoint once, each event once."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from app.executions.executor import Executor
from app.executions.run import RunEnd
from app.executions.steps import Step
from app.nodes.sdk import NodeContext
from app.store.records import Fence, Request, Void
from tests.integration.executions.losing import Gate, recover, stuck_at
from tests.integration.executions.nodes import effect, node_that
from tests.integration.executions.process import (
    LEASE_MS,
    CountingStore,
    Process,
    assert_due,
    chain,
    checkpoints,
    execution_of,
    flow,
    node,
    pass_time,
    told,
)
from tests.waiting import wait_until
from tests.world import PgWorld

# -- a process that is gone


def test_another_goes_on_from_the_last_checkpoint(
    world: PgWorld, process: Process, other: Process
) -> None:
    begun: list[str] = []
    count = node_that(lambda ctx: begun.append(ctx.node_id), "CountNode")
    document = chain(node("a", "CountNode"), node("b", "ProbeNode"), node("c", "CountNode"))
    execution = execution_of(world, document)
    gate = Gate()
    around = process.around(count, node_that(gate))
    process.start(process.claim(around, execution))
    wait_until(lambda: gate.reached, "b begins")

    recover(world, execution)
    again: list[int] = []
    end = other.run(execution, count, node_that(lambda ctx: again.append(ctx.attempt)))

    assert end is RunEnd.FINISHED
    assert begun == ["a", "c"]
    assert (gate.reached, again) == ([1], [2])
    rows = checkpoints(world, execution)
    assert {each: (row.attempt, row.worker_id) for each, row in rows.items()} == {
        "a": (1, "w1"),
        "b": (2, "w2"),
        "c": (1, "w2"),
    }
    assert told(world, execution) == [
        "execution:created",
        "flow:started",
        "node:started a",
        "node:completed a",
        "node:started b",
        "execution:recovered",
        "node:started b",
        "node:completed b",
        "node:started c",
        "node:completed c",
        "flow:completed",
        "execution:completed",
    ]
    gate.open()


def test_attempts_that_crashed_are_counted_against_the_retries(
    world: PgWorld, process: Process, other: Process
) -> None:
    attempts: list[int] = []

    def fail(ctx: NodeContext) -> None:
        attempts.append(ctx.attempt)
        raise ValueError("boom")

    retry = {"maxAttempts": 3, "backoffMs": 0}
    execution = execution_of(world, flow(node("a", "ProbeNode", retry=retry)))
    gate = Gate()
    stuck_at(process, execution, gate)
    recover(world, execution)

    other.run(execution, node_that(fail))

    assert gate.reached + attempts == [1, 2, 3]
    assert world.row(execution).status == "failed"
    gate.open()


def test_a_back_off_goes_on_after_a_crash(world: PgWorld, process: Process, other: Process) -> None:
    def fail_first(ctx: NodeContext) -> None:
        if ctx.attempt == 1:
            raise ValueError("boom")

    retry = {"maxAttempts": 2, "backoffMs": 60_000}
    document = flow(node("a", "FailNode", retry=retry), node("b", "ProbeNode"))
    execution = execution_of(world, document)
    gate = Gate()
    around = process.around(node_that(fail_first, "FailNode"), node_that(gate))
    process.start(process.claim(around, execution))
    wait_until(lambda: gate.reached and "a" in checkpoints(world, execution), "a waits")
    pass_time(world, execution, 30_000)
    until = checkpoints(world, execution)["a"].retry_at
    recover(world, execution)

    end = other.run(execution, node_that(fail_first, "FailNode"), node_that(lambda _: None))

    assert end is RunEnd.PARKED
    assert_due(world, execution, until)
    assert checkpoints(world, execution)["b"].attempt == 2
    gate.open()


def test_pure_nodes_that_were_not_written_run_again_with_the_same_outcome(
    world: PgWorld, process: Process, other: Process
) -> None:
    execution = execution_of(world, chain(node("a", "PureNode"), node("b", "PureNode")))
    gate = Gate()

    def wait_at_b(ctx: NodeContext) -> None:
        if ctx.node_id == "b":
            gate(ctx)

    around = process.around(node_that(wait_at_b, "PureNode", effects=False))
    process.start(process.claim(around, execution))
    wait_until(lambda: gate.reached, "b begins")
    recover(world, execution)

    other.run(execution, node_that(lambda _: None, "PureNode", effects=False))

    assert world.row(execution).status == "completed"
    events = told(world, execution)
    assert events.count("node:completed a") == events.count("node:completed b") == 1
    gate.open()


# -- a zombie


@pytest.mark.parametrize("effects", [True, False])
def test_a_zombie_writes_nothing_and_publishes_nothing(
    world: PgWorld, process: Process, other: Process, effects: bool
) -> None:
    execution = execution_of(world, chain(node("a", "ProbeNode"), node("b", "EffectNode")))
    gate = Gate()
    around = process.around(effect, node_that(gate, effects=effects))
    zombie = process.start(process.claim(around, execution))
    wait_until(lambda: gate.reached, "a begins")
    if not effects:
        wait_until(lambda: "node:started" in process.published_types(), "its start is told")
    recover(world, execution)
    other.run(execution, effect, node_that(lambda _: None, effects=effects))
    before = world.row(execution), told(world, execution), checkpoints(world, execution)
    published = list(process.published)

    gate.open()

    assert zombie.end() is RunEnd.LOST
    assert (world.row(execution), told(world, execution), checkpoints(world, execution)) == before
    assert process.published == published
    assert "node:started b" not in process.published_types()


def test_a_run_that_is_disowned_ends_at_once_and_asks_its_nodes_to(
    world: PgWorld, process: Process
) -> None:
    asked: list[bool] = []

    def wait(ctx: NodeContext) -> None:
        gate.append(1)
        asked.append(ctx.cancelled.wait(20))

    gate: list[int] = []
    execution = execution_of(world, flow(node("a", "ProbeNode")))
    run = process.claim(process.around(node_that(wait)), execution)
    driven = process.start(run)
    wait_until(lambda: gate, "a begins")
    recover(world, execution)

    run.disown()

    assert driven.end(60) is RunEnd.LOST
    wait_until(lambda: asked == [True], "the node is asked to end")


def test_a_run_that_is_disowned_by_mistake_goes_on(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, chain(node("a", "ProbeNode"), node("b")))
    gate = Gate()
    driven = stuck_at(process, execution, gate)

    driven.run.disown()
    gate.open()

    assert driven.end() is RunEnd.FINISHED
    assert world.row(execution).status == "completed"


def test_the_lease_keeper_disowns_what_was_taken(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, flow(node("a", "ProbeNode")))
    executor = process.executor(process.around(node_that(lambda ctx: ctx.cancelled.wait(20))))
    keeper = process.keeper(executor.running)
    worker = threading.Thread(target=executor.work)
    worker.start()
    wait_until(executor.running, "it runs")
    wait_until(lambda: "node:started a" in told(world, execution), "the node begins")
    recover(world, execution)
    world.execute("UPDATE chaingraph_executions SET runnable_at = NULL")

    keeper.renew()

    worker.join(60)
    assert not worker.is_alive()
    assert executor.running() == []
    keeper._store.close()


def test_a_node_held_up_before_it_began_asks_whether_the_run_is_still_ours(
    world: PgWorld, process: Process
) -> None:
    held: list[Step] = []
    begun: list[int] = []
    probe = node_that(lambda ctx: begun.append(ctx.attempt))
    execution = execution_of(world, flow(node("a", "ProbeNode")))
    now = [0.0]
    around = replace(
        process.around(probe), clock=lambda: now[0] + time.monotonic(), launch=held.append
    )
    driven = process.start(process.claim(around, execution))
    wait_until(lambda: held, "the step is launched")

    now[0] += around.lease_s / 2 + 0.1
    held.pop().run()

    wait_until(lambda: held, "it is launched again")
    assert begun == []
    held.pop().run()
    assert driven.end() is RunEnd.FINISHED
    assert begun == [1]


def test_a_reply_that_took_long_is_as_old_as_its_question(world: PgWorld, process: Process) -> None:
    held: list[Step] = []
    now = [0.0]

    class SlowReplies(CountingStore):
        def requested(self, fence: Fence) -> Request | Void | None:
            answer = self.store.requested(fence)
            now[0] += LEASE_MS / 1000
            return answer

    execution = execution_of(world, flow(node("a", "ProbeNode")))
    around = replace(
        process.around(node_that(lambda _: None)),
        store=SlowReplies(process.store.store),
        clock=lambda: now[0] + time.monotonic(),
        launch=held.append,
    )
    run = process.claim(around, execution)
    process.start(run)
    wait_until(lambda: held, "the step is launched")
    now[0] += around.lease_s

    held.pop().run()

    wait_until(lambda: held, "it is launched again")
    assert held[0].fresh_until < around.clock()
    recover(world, execution)
    run.disown()


def test_a_node_held_up_until_another_had_the_run_never_begins(
    world: PgWorld, process: Process
) -> None:
    held: list[Step] = []
    begun: list[int] = []
    probe = node_that(lambda ctx: begun.append(ctx.attempt))
    execution = execution_of(world, flow(node("a", "ProbeNode")))
    now = [0.0]
    around = replace(
        process.around(probe), clock=lambda: now[0] + time.monotonic(), launch=held.append
    )
    driven = process.start(process.claim(around, execution))
    wait_until(lambda: held, "the step is launched")

    now[0] += around.lease_s / 2 + 0.1
    recover(world, execution)
    held.pop().run()

    assert driven.end() is RunEnd.LOST
    assert (begun, held) == ([], [])


# -- the process is told to end


def test_a_process_that_ends_hands_over_at_the_next_boundary(
    world: PgWorld, process: Process, other: Process
) -> None:
    draining: list[bool] = []
    around = process.around(
        node_that(lambda _: draining.append(True)), effect, is_draining=lambda: bool(draining)
    )
    execution = execution_of(world, chain(node("a", "ProbeNode"), node("b", "EffectNode")))

    assert process.claim(around, execution).drive() is RunEnd.RELEASED

    row = world.row(execution)
    assert (row.failure_count, row.processing_worker_id) == (0, None)
    assert list(checkpoints(world, execution)) == ["a"]
    assert other.run(execution, effect, node_that(lambda _: None)) is RunEnd.FINISHED
    events = told(world, execution)
    assert len(events) == len(set(events)) == 8


def test_a_fault_of_ours_counts_as_a_crash_and_ends_for_good(
    world: PgWorld, process: Process
) -> None:
    def unprepared(_step: Step) -> None:
        raise LookupError("a fault of the runner")

    execution = execution_of(world, flow(node("a", "ProbeNode")))
    around = replace(process.around(node_that(lambda _: None)), launch=unprepared)
    executor = Executor("w1", LEASE_MS, lambda: around, lambda: "token", most_crashes=3)

    for _ in range(3):
        assert world.row(execution).status != "failed"
        with pytest.raises(LookupError):
            executor.work()

    row = world.row(execution)
    assert (row.status, row.failure_count) == ("failed", 3)
    assert told(world, execution)[-2:] == ["flow:failed", "execution:failed"]
    assert executor.running() == []
