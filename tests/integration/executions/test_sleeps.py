"""Sleeps: durable, on time, and without a worker that waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.executions.run import RunEnd
from app.nodes.sdk import NodeContext
from app.store.sweeps import PgSweepStore
from tests.integration.executions.nodes import effect, fail, node_that
from tests.integration.executions.process import (
    LeapingClock,
    Process,
    assert_due,
    checkpoints,
    execution_of,
    flow,
    node,
    options,
    pass_time,
    told,
)
from tests.waiting import wait_until
from tests.world import PgWorld

LONG_MS = 60_000


def sleeper(node_id: str = "nap", duration: float = LONG_MS) -> dict[str, Any]:
    return node(node_id, "SleepNode", values={"duration": duration})


def nap_then(then: dict[str, Any], duration: float = LONG_MS) -> dict[str, Any]:
    edge = {"source": "nap.__success", "target": f"{then['id']}.__execute"}
    return flow(sleeper(duration=duration), then, edges=[edge])


def fire(world: PgWorld) -> list[str]:
    sweeps = PgSweepStore(world.database, "sweeper")
    fired = sweeps.fire_timers(10, 0).ids
    sweeps.close()
    return fired


def outputs(world: PgWorld, execution: str, node_id: str) -> dict[str, Any]:
    [given] = [
        json.loads(data)["outputs"]
        for _, type_, data in world.events(execution)
        if type_ == "node:completed" and json.loads(data)["nodeId"] == node_id
    ]
    return dict(given)


def test_a_sleep_holds_no_worker_and_ends_in_another(
    world: PgWorld, process: Process, other: Process
) -> None:
    execution = execution_of(world, nap_then(node("then", "EffectNode")))

    assert process.run(execution, effect) is RunEnd.PARKED

    row = world.row(execution)
    asleep = checkpoints(world, execution)["nap"]
    assert (row.status, row.processing_worker_id, row.runnable_at) == ("running", None, None)
    assert (row.waiting["for"], row.waiting["detail"]) == ("timer", {"nodeId": "nap"})
    assert (row.wake_at, asleep.status, asleep.error) == (asleep.retry_at, "waiting", None)
    assert 50 < (row.wake_at - world.now()).total_seconds() <= LONG_MS / 1000
    assert row.grants == {}
    assert world.claim_of(execution).status == "released"  # type: ignore[union-attr]
    assert fire(world) == []

    pass_time(world, execution, LONG_MS)
    assert fire(world) == [execution]
    assert other.run(execution, effect) is RunEnd.FINISHED

    assert told(world, execution)[2:-2] == [
        "node:started nap",
        "node:completed nap",
        "node:started then",
        "node:completed then",
    ]
    slept = checkpoints(world, execution)["nap"]
    assert (slept.status, slept.attempt, slept.retry_at) == ("completed", 1, None)
    assert LONG_MS <= slept.outputs["actualDuration"] < 2 * LONG_MS
    assert outputs(world, execution, "nap") == slept.outputs


def test_its_duration_is_what_it_was_and_not_what_was_planned(
    world: PgWorld, process: Process
) -> None:
    execution = execution_of(world, nap_then(node("then")))
    process.run(execution)
    pass_time(world, execution, 3 * LONG_MS)
    fire(world)

    process.run(execution)

    slept = outputs(world, execution, "nap")["actualDuration"]
    assert 3 * LONG_MS <= slept < 4 * LONG_MS
    assert checkpoints(world, execution)["nap"].execution_time_ms == slept


def test_a_short_sleep_is_waited_for_in_place(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, nap_then(node("then"), duration=20))

    assert process.run(execution) is RunEnd.FINISHED

    assert outputs(world, execution, "nap")["actualDuration"] >= 20
    assert "park" not in process.store.calls


@pytest.mark.parametrize("duration", [0, 0.4])
def test_the_shortest_sleeps_end(world: PgWorld, process: Process, duration: float) -> None:
    execution = execution_of(world, nap_then(node("then"), duration=duration))

    assert process.run(execution) is RunEnd.FINISHED
    assert world.row(execution).status == "completed"


@pytest.mark.parametrize("effects", [True, False])
def test_the_limit_of_an_attempt_ends_no_wait(
    world: PgWorld, process: Process, effects: bool
) -> None:
    """Nor a sleep nor a back-off, while another branch keeps the run in its process."""
    limit_ms = 10_000
    clock = LeapingClock()
    again = {"maxAttempts": 2, "backoffMs": LONG_MS}
    execution = execution_of(
        world,
        flow(
            {**sleeper(), "timeoutMs": limit_ms},
            node("fails", "FailNode", retry=again, timeoutMs=limit_ms),
            node("busy", "BusyNode"),
        ),
    )

    def outlast(ctx: NodeContext) -> None:
        wait_until(lambda: {"nap", "fails"} <= checkpoints(world, execution).keys(), "both wait")
        clock.leap(ctx, limit_ms / 1000)

    types = node_that(fail, "FailNode"), node_that(outlast, "BusyNode", effects=effects)
    assert process.run(execution, *types, clock=clock) is RunEnd.PARKED

    waiting = checkpoints(world, execution)
    assert (waiting["nap"].status, waiting["fails"].status) == ("waiting", "waiting")
    assert (waiting["fails"].attempt, waiting["busy"].status) == (1, "completed")


def test_a_sleep_without_end_is_refused(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, flow(sleeper(duration=1e15)))

    process.run(execution)

    row = world.row(execution)
    assert (row.status, row.error_node_id) == ("failed", "nap")
    assert row.error_message.startswith("duration is 1e+15 ms; at most")


def test_other_branches_run_meanwhile(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, flow(sleeper(), node("beside", "EffectNode")))

    assert process.run(execution, effect) is RunEnd.PARKED

    rows = checkpoints(world, execution)
    assert (rows["nap"].status, rows["beside"].status) == ("waiting", "completed")


def test_a_sleep_ends_while_another_node_runs(world: PgWorld, process: Process) -> None:
    """A sleep too long to wait for in place, beside a node that keeps the worker busy."""

    def outlast(_: NodeContext) -> None:
        wait_until(
            lambda: checkpoints(world, execution)["nap"].status == "completed", "it is awake"
        )

    document = flow(sleeper(duration=150), node("beside", "ProbeNode"))
    execution = execution_of(world, document)

    assert process.run(execution, node_that(outlast)) is RunEnd.FINISHED


def test_of_several_timers_the_soonest_is_told(world: PgWorld, process: Process) -> None:
    slow = {"maxAttempts": 2, "backoffMs": 30_000}
    document = flow(sleeper("late"), node("b", "ProbeNode", retry=slow), sleeper("later", 90_000))
    execution = execution_of(world, document)

    assert process.run(execution, node_that(fail)) is RunEnd.PARKED

    row = world.row(execution)
    assert (row.waiting["for"], row.waiting["detail"]) == ("retry", {"nodeId": "b"})
    assert row.wake_at == checkpoints(world, execution)["b"].retry_at


def test_woken_early_it_sleeps_on(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, nap_then(node("then")))
    process.run(execution)
    pass_time(world, execution, LONG_MS // 2)
    until = world.row(execution).wake_at
    world.wake(execution, runnable=True)

    assert process.run(execution) is RunEnd.PARKED

    assert_due(world, execution, until)
    assert told(world, execution)[2:] == ["node:started nap"]


def test_a_sleep_outlives_its_worker(world: PgWorld, process: Process, other: Process) -> None:
    """Lost after the timer was set, and before the execution was given up."""

    def lose(ctx: NodeContext) -> None:
        wait_until(lambda: "nap" in checkpoints(world, ctx.execution_id), "the timer is set")
        world.take_over(ctx.execution_id)

    document = flow(sleeper(), node("beside", "ProbeNode"))
    execution = execution_of(world, document)
    assert process.run(execution, node_that(lose)) is RunEnd.LOST
    until = checkpoints(world, execution)["nap"].retry_at

    assert other.run(execution, node_that(lambda _: None)) is RunEnd.PARKED

    assert checkpoints(world, execution)["nap"].retry_at == until
    assert told(world, execution).count("node:started nap") == 1


def test_no_time_limit_counts_a_sleep(world: PgWorld, process: Process) -> None:
    document = flow(sleeper(duration=120) | {"timeoutMs": 1})
    execution = execution_of(world, document, options=options(nodeTimeoutMs=1))

    process.run(execution)
    pass_time(world, execution, 120)
    fire(world)
    if world.row(execution).status == "running":
        process.run(execution)

    assert world.row(execution).status == "completed"


def test_with_debug_it_tells_that_it_waits(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, flow(sleeper(duration=1)), options=options(debug=True))

    process.run(execution)

    changes = [
        (json.loads(data)["oldStatus"], json.loads(data)["newStatus"])
        for _, type_, data in world.events(execution)
        if type_ == "node:status-changed"
    ]
    assert changes == [
        ("idle", "initialized"),
        ("initialized", "executing"),
        ("executing", "waiting"),
        ("waiting", "completed"),
    ]


def test_a_sleep_goes_on_through_a_pause_and_ends_after_it(
    world: PgWorld, process: Process
) -> None:
    """The time of a wall clock: it is due when its time has come, paused or not."""
    execution = execution_of(world, nap_then(node("then")))
    process.run(execution)
    world.commands().pause(execution, "why")

    pass_time(world, execution, 2 * LONG_MS)
    assert fire(world) == []
    assert world.row(execution).status == "paused"
    world.commands().resume(execution)

    assert process.run(execution) is RunEnd.FINISHED
    assert 2 * LONG_MS <= outputs(world, execution, "nap")["actualDuration"] < 3 * LONG_MS
    assert told(world, execution)[3:6] == ["flow:paused", "flow:resumed", "node:completed nap"]


def test_a_pause_that_ends_before_the_sleep_changes_nothing(
    world: PgWorld, process: Process
) -> None:
    execution = execution_of(world, nap_then(node("then")))
    process.run(execution)
    pass_time(world, execution, LONG_MS // 2)
    until = world.row(execution).wake_at
    world.commands().pause(execution, "why")
    world.commands().resume(execution)

    assert process.run(execution) is RunEnd.PARKED

    assert_due(world, execution, until)


def test_a_stop_ends_a_sleep(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, nap_then(node("then")))
    process.run(execution)

    world.commands().stop(execution, "enough")

    assert (world.row(execution).status, world.row(execution).wake_at) == ("stopped", None)
    pass_time(world, execution, LONG_MS)
    assert fire(world) == []
