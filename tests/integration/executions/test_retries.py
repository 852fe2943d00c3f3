"""Retries: counted, timed, and without a worker that waits."""

from __future__ import annotations

from app.errors import NonRetryableError
from app.executions.run import RunEnd
from app.nodes.retry import RetryAfter
from app.nodes.sdk import NodeContext
from tests.integration.executions.nodes import fail, node_that
from tests.integration.executions.process import (
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

RETRY = {"maxAttempts": 3, "backoffMs": 0}


def test_a_failed_node_is_tried_again_under_the_same_key(world: PgWorld, process: Process) -> None:
    tries: list[tuple[int, str]] = []

    def fail_twice(ctx: NodeContext) -> None:
        tries.append((ctx.attempt, ctx.idempotency_key))
        if ctx.attempt < 3:
            fail(ctx)

    execution = execution_of(world, flow(node("a", "ProbeNode", retry=RETRY)))

    assert process.run(execution, node_that(fail_twice)) is RunEnd.FINISHED

    assert tries == [(attempt, f"{execution}:a") for attempt in (1, 2, 3)]
    row = checkpoints(world, execution)["a"]
    assert (row.status, row.attempt, row.retry_at, row.error) == ("completed", 3, None, None)
    assert told(world, execution)[2:-2] == ["node:started a", "node:failed a"] * 2 + [
        "node:started a",
        "node:completed a",
    ]


def test_the_last_attempt_that_fails_fails_the_node(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, flow(node("a", "ProbeNode", retry=RETRY)))

    process.run(execution, node_that(fail))

    assert world.row(execution).status == "failed"
    assert checkpoints(world, execution)["a"].attempt == 3


def test_what_can_not_be_helped_is_not_tried_again(world: PgWorld, process: Process) -> None:
    def refuse(_: NodeContext) -> None:
        raise NonRetryableError("no")

    execution = execution_of(world, flow(node("a", "ProbeNode", retry=RETRY)))

    process.run(execution, node_that(refuse))

    assert checkpoints(world, execution)["a"].attempt == 1


def test_a_back_off_holds_no_worker(world: PgWorld, process: Process, other: Process) -> None:
    attempts: list[int] = []

    def fail_once(ctx: NodeContext) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            fail(ctx)

    probe = node_that(fail_once)
    slow = {"maxAttempts": 2, "backoffMs": 60_000}
    execution = execution_of(world, chain(node("a"), node("b", "ProbeNode", retry=slow)))

    assert process.run(execution, probe) is RunEnd.PARKED

    row = world.row(execution)
    assert (row.status, row.processing_worker_id, row.runnable_at) == ("running", None, None)
    assert (row.waiting["for"], row.waiting["detail"]) == ("retry", {"nodeId": "b"})
    assert row.wake_at == checkpoints(world, execution)["b"].retry_at
    assert 50 < (row.wake_at - world.now()).total_seconds() <= 60
    assert world.claim_of(execution).status == "released"  # type: ignore[union-attr]

    make_due(world, execution)
    assert other.run(execution, probe) is RunEnd.FINISHED

    assert attempts == [1, 2]
    assert told(world, execution)[2:-2] == [
        "node:started a",
        "node:completed a",
        "node:started b",
        "node:failed b",
        "node:started b",
        "node:completed b",
    ]
    assert checkpoints(world, execution)["b"].attempt == 2


def make_due(world: PgWorld, execution: str) -> None:
    """As if the time had come, and a sweep had seen it."""
    world.execute(
        "UPDATE chaingraph_checkpoints SET retry_at = clock_timestamp()"
        " WHERE execution_id = %s AND status = 'waiting'",
        execution,
    )
    world.wake(execution, runnable=True)


def test_woken_early_it_parks_anew(world: PgWorld, process: Process) -> None:
    slow = {"maxAttempts": 2, "backoffMs": 60_000}
    execution = execution_of(world, flow(node("a", "ProbeNode", retry=slow)))
    process.run(execution, node_that(fail))
    pass_time(world, execution, 30_000)
    until = world.row(execution).wake_at
    world.wake(execution, runnable=True)

    assert process.run(execution, node_that(fail)) is RunEnd.PARKED

    assert_due(world, execution, until)
    assert checkpoints(world, execution)["a"].attempt == 1


def test_what_arrives_before_it_parks_holds_no_worker_either(
    world: PgWorld, process: Process
) -> None:
    def be_woken(ctx: NodeContext) -> None:
        world.wake(ctx.execution_id)
        fail(ctx)

    slow = {"maxAttempts": 2, "backoffMs": 60_000}
    execution = execution_of(world, flow(node("a", "ProbeNode", retry=slow)))

    run = process.start(process.claim(process.around(node_that(be_woken)), execution))

    assert run.end(60) is RunEnd.PARKED
    assert world.row(execution).wake_at is not None


def test_a_node_may_ask_for_its_own_time(world: PgWorld, process: Process) -> None:
    def ask(_: NodeContext) -> None:
        raise RetryAfter("later", delay_ms=60_000)

    execution = execution_of(world, flow(node("a", "ProbeNode")))

    assert process.run(execution, node_that(ask)) is RunEnd.PARKED
    assert 50 < (world.row(execution).wake_at - world.now()).total_seconds() <= 60


def test_while_others_run_a_retry_waits_beside_them(world: PgWorld, process: Process) -> None:
    attempts: list[int] = []

    def fail_once(ctx: NodeContext) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            fail(ctx)

    retry = {"maxAttempts": 2, "backoffMs": 200}
    document = flow(node("a", "ProbeNode", retry=retry), node("b", "SlowNode"))
    execution = execution_of(world, document)
    outlast = node_that(
        lambda _: wait_until(lambda: attempts == [1, 2], "it is tried again"), "SlowNode"
    )

    assert process.run(execution, node_that(fail_once), outlast) is RunEnd.FINISHED
