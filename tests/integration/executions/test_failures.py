"""Failures, retries, limits: what a run makes of nodes that misbehave."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.errors import NodeError
from app.executions.run import RunEnd
from app.nodes.sdk import NodeContext
from tests.integration.executions.nodes import effect, fail, node_that, node_that_gives
from tests.integration.executions.process import (
    MAX_VALUE_BYTES,
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
from tests.waiting import wait_until
from tests.world import PgWorld

RETRY = {"maxAttempts": 3, "backoffMs": 0}


def test_an_unhandled_error_fails_the_execution(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, chain(node("a", "ProbeNode"), node("b")))

    assert process.run(execution, node_that(fail)) is RunEnd.FINISHED

    row = world.row(execution)
    assert (row.status, row.error_message, row.error_node_id) == ("failed", "boom", "a")
    assert told(world, execution)[-4:] == [
        "node:failed a",
        "node:skipped b",
        "flow:failed",
        "execution:failed",
    ]
    rows = checkpoints(world, execution)
    assert list(rows) == ["a"]
    assert (rows["a"].status, rows["a"].error) == (
        "error",
        {"type": "NodeError", "message": "boom"},
    )


def test_with_continue_the_rest_runs_and_the_execution_completes(
    world: PgWorld, process: Process
) -> None:
    document = flow(
        node("a", "ProbeNode"),
        node("b"),
        node("c", "EffectNode"),
        edges=[{"source": "a.text", "target": "b.text"}],
    )
    execution = execution_of(world, document, options=options(onNodeError="continue"))

    process.run(execution, node_that(fail), effect)

    row = world.row(execution)
    assert (row.status, row.error_message) == ("completed", None)
    assert (row.nodes_completed, row.nodes_failed, row.nodes_skipped) == (1, 1, 1)
    assert "node:skipped b" in told(world, execution)


def test_after_an_unhandled_error_running_nodes_finish_and_none_starts(
    world: PgWorld, process: Process
) -> None:
    failed = threading.Event()

    def fail_once_both_run(ctx: NodeContext) -> None:
        failed.set()
        fail(ctx)

    def outlast(_: NodeContext) -> None:
        failed.wait(60)
        wait_until(lambda: "node:failed" in process.published_types(), "the failure is told")

    document = flow(
        node("a", "ProbeNode"),
        node("b", "SlowNode"),
        node("c"),
        edges=[{"source": "b.text", "target": "c.text"}],
    )
    execution = execution_of(world, document)

    process.run(execution, node_that(fail_once_both_run), node_that(outlast, "SlowNode"))

    events = told(world, execution)
    assert "node:completed b" in events
    assert "node:started c" not in events
    assert world.row(execution).status == "failed"


# -- texts that a database can't hold as they are

AWKWARD = {
    "NUL": ("a\x00b", "a\ufffdb"),
    "half of a surrogate pair": ("a\ud800b", "a?b"),
    "quotes": ("'%s' \\ $1", "'%s' \\ $1"),
    "length": ("x" * 200_000, "x" * 200_000),
}


@pytest.mark.parametrize(("said", "kept"), AWKWARD.values(), ids=AWKWARD)
def test_a_failure_is_kept_whatever_the_node_says(
    world: PgWorld, process: Process, said: str, kept: str
) -> None:
    def fail_awkwardly(_: NodeContext) -> None:
        raise NodeError(said)

    execution = execution_of(world, flow(node("a", "ProbeNode")))

    assert process.run(execution, node_that(fail_awkwardly)) is RunEnd.FINISHED

    row = world.row(execution)
    assert (row.status, row.error_message) == ("failed", kept)


@pytest.mark.parametrize("said", ["a\x00b", "a\ud800b", "x" * 200_000])
def test_a_log_line_is_told_whatever_it_holds(world: PgWorld, process: Process, said: str) -> None:
    execution = execution_of(world, flow(node("a", "ProbeNode")))

    assert process.run(execution, node_that(lambda ctx: ctx.log(said))) is RunEnd.FINISHED

    assert "node:debug-log-string a" in told(world, execution)


# -- outputs


def test_an_output_that_is_too_large_fails_its_node_at_once(
    world: PgWorld, process: Process
) -> None:
    large = node_that_gives(lambda *_: "x" * MAX_VALUE_BYTES)
    execution = execution_of(world, flow(node("a", "ValueNode", retry=RETRY)))

    process.run(execution, large)

    row = world.row(execution)
    assert row.status == "failed"
    assert row.error_message == (
        f"output 'value' has {MAX_VALUE_BYTES + 2} bytes of JSON; {MAX_VALUE_BYTES} are allowed"
    )
    assert checkpoints(world, execution)["a"].attempt == 1


def test_an_output_as_large_as_is_allowed_is_kept_whole(world: PgWorld, process: Process) -> None:
    text = "x" * (MAX_VALUE_BYTES - 2)
    execution = execution_of(world, flow(node("a", "ValueNode")))

    process.run(execution, node_that_gives(lambda *_: text))

    assert world.row(execution).status == "completed"
    assert checkpoints(world, execution)["a"].outputs == {"value": text}
    assert sum(len(data) for _, _, data in world.events(execution)) < 16 * 1024


@pytest.mark.parametrize("value", [2**70, -(2**70), 2**63, "a\x00b", 0.1, [[]] * 3, None])
def test_a_value_is_the_same_after_a_crash(
    world: PgWorld, process: Process, other: Process, value: Any
) -> None:
    given: list[Any] = []
    make = node_that_gives(lambda *_: value)
    take = node_that_gives(lambda _, each: given.append(each), "TakeNode")
    document = flow(
        node("a", "ValueNode"),
        node("b", "TakeNode"),
        edges=[{"source": "a.value", "target": "b.given"}],
    )
    execution = execution_of(world, document)
    run_until_checkpoint(process, execution, "a", make)

    world.take_over(execution)
    other.run(execution, make, take)

    assert given == [value]
    assert type(given[0]) is type(value)


def run_until_checkpoint(process: Process, execution: str, last: str, *targets: Any) -> None:
    """Drive a run that never gets further than to this checkpoint: its process is lost."""
    hangs = threading.Event()

    def hang(ctx: NodeContext) -> None:
        while not ctx.cancelled.is_set():
            hangs.wait(0.01)

    process.start(
        process.claim(
            process.around(
                *targets,
                node_that_gives(lambda ctx, _: hang(ctx), "TakeNode"),
                node_that(hang, "HangNode"),
            ),
            execution,
        )
    )
    wait_until(lambda: last in checkpoints(process.world, execution), "the checkpoint is there")


# -- time limits

#: Half of what nodes have here by default.
LIMIT_MS = 30_000
TOO_LONG = f"not done within {LIMIT_MS} ms"


def outlast_limit(ctx: NodeContext, clock: LeapingClock) -> None:
    """Begin, and be there still when the time is up, until told to end."""
    clock.leap(ctx, LIMIT_MS / 1000)
    assert ctx.cancelled.wait(60)


def test_a_node_past_its_time_is_given_up_and_its_late_result_dropped(
    world: PgWorld, process: Process
) -> None:
    begun, goes_on, came_back = threading.Event(), threading.Event(), threading.Event()
    clock = LeapingClock()

    def ignore_everything(ctx: NodeContext) -> None:
        begun.set()
        goes_on.wait(60)
        ctx.log("too late")
        came_back.set()

    document = flow(node("a", "ProbeNode", timeoutMs=LIMIT_MS), node("b", "SlowNode"))
    execution = execution_of(world, document, options=options(onNodeError="continue"))

    def outlast(ctx: NodeContext) -> None:
        assert begun.wait(60)
        clock.leap(ctx, LIMIT_MS / 1000)
        wait_until(lambda: "node:failed" in process.published_types(), "a is given up")
        goes_on.set()
        assert came_back.wait(60)

    slow = node_that(outlast, "SlowNode")
    process.run(execution, node_that(ignore_everything), slow, clock=clock)

    events = told(world, execution)
    assert events.count("node:failed a") == 1
    assert "node:debug-log-string a" not in events
    assert "node:completed a" not in events
    assert "node:completed b" in events
    assert checkpoints(world, execution)["a"].error == {
        "type": "NodeTimeout",
        "message": TOO_LONG,
    }


def test_a_node_is_told_that_its_time_is_up(world: PgWorld, process: Process) -> None:
    told_by: list[str] = []
    clock = LeapingClock()

    def look(ctx: NodeContext) -> None:
        clock.leap(ctx, LIMIT_MS / 1000)
        try:
            while True:
                ctx.sleep(1000)
        except NodeError as error:
            told_by.append(error.type)

    execution = execution_of(world, flow(node("a", "ProbeNode", timeoutMs=LIMIT_MS)))
    process.run(execution, node_that(look), clock=clock)

    wait_until(lambda: told_by == ["NodeTimeout"], "the node is told")


def test_the_limit_of_the_execution_counts_where_a_node_has_none(
    world: PgWorld, process: Process
) -> None:
    limit = options(nodeTimeoutMs=LIMIT_MS)
    execution = execution_of(world, flow(node("a", "ProbeNode")), options=limit)
    clock = LeapingClock()

    process.run(execution, node_that(lambda ctx: outlast_limit(ctx, clock)), clock=clock)

    assert world.row(execution).error_message == TOO_LONG


def test_a_timeout_is_tried_again_where_the_document_says_so(
    world: PgWorld, process: Process
) -> None:
    attempts: list[int] = []
    clock = LeapingClock()

    def hang_once(ctx: NodeContext) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            outlast_limit(ctx, clock)

    execution = execution_of(world, flow(node("a", "ProbeNode", timeoutMs=LIMIT_MS, retry=RETRY)))

    process.run(execution, node_that(hang_once), clock=clock)

    assert attempts == [1, 2]
    assert world.row(execution).status == "completed"


# -- at once


def test_at_most_so_many_nodes_run_at_once(world: PgWorld, process: Process) -> None:
    now: list[str] = []
    most: list[int] = []
    lock = threading.Lock()
    # Nobody ends before three run at once; of nine, that is three times.
    three = threading.Barrier(3, timeout=60)

    def crowd(ctx: NodeContext) -> None:
        with lock:
            now.append(ctx.node_id)
            most.append(len(now))
        three.wait()
        with lock:
            now.remove(ctx.node_id)

    document = flow(*(node(f"n{number}", "ProbeNode") for number in range(9)))
    execution = execution_of(world, document, options=options(maxConcurrency=3))

    process.run(execution, node_that(crowd))

    assert max(most) == 3
    started = [each for each in told(world, execution) if each.startswith("node:started")]
    assert started == [f"node:started n{number}" for number in range(9)]
