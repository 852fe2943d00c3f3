"""The time limit of a whole flow, where an owner lives to keep it."""

from __future__ import annotations

import json
import threading

from app.executions.run import RunEnd
from app.nodes.sdk import NodeContext
from tests.integration.executions.nodes import node_that
from tests.integration.executions.process import (
    LeapingClock,
    Process,
    chain,
    checkpoints,
    execution_of,
    flow,
    node,
    options,
    told,
)
from tests.world import PgWorld

#: Half of what nodes have here by default.
LIMIT_MS = 30_000
LATE = f"flow not done within {LIMIT_MS} ms"


def until_cancelled(ctx: NodeContext, clock: LeapingClock) -> None:
    """What a node does that is there still when the flow's time is up: it is told to end."""
    clock.leap(ctx, LIMIT_MS / 1000)
    assert ctx.cancelled.wait(60)


def pass_time(world: PgWorld, execution: str, ms: int) -> None:
    """As if so much time had passed since the run began."""
    world.execute(
        "UPDATE chaingraph_executions SET deadline_at = deadline_at - %s * interval '1 ms',"
        " started_at = started_at - %s * interval '1 ms' WHERE id = %s",
        ms,
        ms,
        execution,
    )


def test_a_flow_that_takes_too_long_fails_and_its_nodes_are_told(
    world: PgWorld, process: Process
) -> None:
    ended = threading.Event()
    clock = LeapingClock()

    def outlast(ctx: NodeContext) -> None:
        pass_time(world, ctx.execution_id, LIMIT_MS)
        until_cancelled(ctx, clock)
        ended.set()

    document = chain(node("a"), node("b", "ProbeNode"), node("c"))
    execution = execution_of(world, document, options=options(flowTimeoutMs=LIMIT_MS))

    assert process.run(execution, node_that(outlast), clock=clock) is RunEnd.FINISHED

    row = world.row(execution)
    assert (row.status, row.error_message, row.error_node_id) == ("failed", LATE, None)
    assert (row.completed_at - row.started_at).total_seconds() >= LIMIT_MS / 1000
    assert ended.wait(60)
    assert list(checkpoints(world, execution)) == ["a"]
    assert told(world, execution)[-2:] == ["flow:failed", "execution:failed"]
    failed, end = (json.loads(data) for _, _, data in world.events(execution)[-2:])
    assert failed["error"] == {"type": "FlowTimeout", "message": LATE}
    assert (end["errorMessage"], end["errorNodeId"]) == (LATE, None)
    assert world.claim_of(execution).status == "released"  # type: ignore[union-attr]


def test_the_time_is_counted_from_the_start_and_in_the_stores_time(
    world: PgWorld, process: Process, other: Process
) -> None:
    retry = {"maxAttempts": 2, "backoffMs": 60_000}
    execution = execution_of(
        world,
        flow(node("a", "ProbeNode", retry=retry)),
        options=options(flowTimeoutMs=100_000),
    )

    def fail_once(ctx: NodeContext) -> None:
        assert ctx.attempt == 1
        raise OSError

    assert process.run(execution, node_that(fail_once)) is RunEnd.PARKED

    row = world.row(execution)
    assert (row.deadline_at - row.started_at).total_seconds() == 100
    pass_time(world, execution, 100_000)
    world.wake(execution, runnable=True)
    assert other.run(execution, node_that(fail_once)) is RunEnd.FINISHED
    assert world.row(execution).error_message == "flow not done within 100000 ms"
    assert checkpoints(world, execution)["a"].attempt == 1


def test_who_waits_beyond_its_deadline_is_woken_for_it(world: PgWorld, process: Process) -> None:
    nap = node("nap", "SleepNode", values={"duration": 600_000})
    execution = execution_of(world, flow(nap), options=options(flowTimeoutMs=60_000))

    assert process.run(execution) is RunEnd.PARKED

    row = world.row(execution)
    assert row.wake_at == row.deadline_at
    assert row.waiting["detail"] == {"nodeId": "nap"}


def test_without_a_limit_there_is_no_deadline(world: PgWorld, process: Process) -> None:
    nap = node("nap", "SleepNode", values={"duration": 60_000})
    execution = execution_of(world, flow(nap), options=options(flowTimeoutMs=0))

    process.run(execution)

    assert world.row(execution).deadline_at is None
    assert world.row(execution).wake_at == checkpoints(world, execution)["nap"].retry_at


def test_the_deadline_outlives_the_owner(world: PgWorld, process: Process, other: Process) -> None:
    """Set by the first statement of the first owner, kept by the next."""

    def lose(ctx: NodeContext) -> None:
        world.take_over(ctx.execution_id)

    document = chain(node("a", "ProbeNode"), node("b"))
    execution = execution_of(world, document, options=options(flowTimeoutMs=100_000))
    assert process.run(execution, node_that(lose)) is RunEnd.LOST
    pass_time(world, execution, 100_000)

    assert other.run(execution, node_that(lose)) is RunEnd.FINISHED

    assert world.row(execution).status == "failed"
    assert told(world, execution).count("node:started a") == 1


def test_a_deadline_comes_before_a_pause_that_is_requested(
    world: PgWorld, process: Process
) -> None:
    """The run hears of the pause only when it writes its end."""
    clock = LeapingClock()

    def be_paused(ctx: NodeContext) -> None:
        world.commands().pause(ctx.execution_id, "why")
        until_cancelled(ctx, clock)

    execution = execution_of(
        world, flow(node("a", "ProbeNode")), options=options(flowTimeoutMs=LIMIT_MS)
    )

    assert process.run(execution, node_that(be_paused), clock=clock) is RunEnd.FINISHED

    row = world.row(execution)
    assert (row.status, row.error_message, row.requested) == ("failed", LATE, None)
    assert told(world, execution)[2:] == [
        "node:started a",
        "node:debug-log-string a",
        "flow:failed",
        "execution:failed",
    ]


def test_the_time_of_a_pause_does_not_count(world: PgWorld, process: Process) -> None:
    nap = node("nap", "SleepNode", values={"duration": 600_000})
    execution = execution_of(world, flow(nap), options=options(flowTimeoutMs=60_000))
    process.run(execution)
    world.commands().pause(execution, "why")
    left_ms = world.row(execution).deadline_left_ms
    assert 30_000 < left_ms <= 60_000
    world.commands().resume(execution)

    assert process.run(execution) is RunEnd.PARKED

    row = world.row(execution)
    assert row.wake_at == row.deadline_at
    assert (row.deadline_at - world.now()).total_seconds() > 25
