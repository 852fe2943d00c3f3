"""What a step hands in that another process runs."""

from __future__ import annotations

import json

import pytest

from app.executions import sent as sent_module
from app.executions.run import RunEnd
from app.nodes.sdk import NodeContext
from app.store.sweeps import PgSweepStore
from tests.integration.executions.nodes import node_that
from tests.integration.executions.process import (
    Process,
    checkpoints,
    execution_of,
    flow,
    node,
    options,
    told,
)
from tests.integration.executions.sending import Sent
from tests.world import PgWorld


def chatter(ctx: NodeContext) -> None:
    while True:
        ctx.log("again")
        ctx.check()


def test_a_sent_node_that_never_stops_talking_has_a_limited_time(
    world: PgWorld, process: Process
) -> None:
    execution = execution_of(world, flow(node("a", "ProbeNode", timeoutMs=200)))
    sent = Sent(process, (node_that(chatter),))
    assert sent.advance(execution) is RunEnd.PARKED

    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.FINISHED

    assert world.row(execution).error_message == "not done within 200 ms"


def test_what_a_sent_node_says_is_bounded_and_told(
    world: PgWorld, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = len(json.dumps({"nodeId": "a", "level": "info", "log": "7"}, separators=(",", ":")))
    monkeypatch.setattr(sent_module, "MOST_KEPT_BYTES", 3 * line)

    def speak(ctx: NodeContext) -> None:
        for number in range(8):
            ctx.log(str(number))

    execution = execution_of(world, flow(node("a", "ProbeNode")))
    sent = Sent(process, (node_that(speak),))
    sent.advance(execution)
    sent.run_step()

    assert sent.advance(execution) is RunEnd.FINISHED

    said = [
        json.loads(data)["log"]
        for _, type_, data in world.events(execution)
        if type_ == "node:debug-log-string"
    ]
    assert said == ["0", "1", "2", "5 more events of this node were left out"]


def test_a_sent_sleep_parks_its_execution(world: PgWorld, process: Process) -> None:
    nap = node("nap", "SleepNode", values={"duration": 60_000})
    execution = execution_of(world, flow(nap))
    sent = Sent(process, ())
    sent.advance(execution)
    assert sent.run_step()

    assert sent.advance(execution) is RunEnd.PARKED

    row = world.row(execution)
    assert (row.waiting["for"], row.waiting["detail"]) == ("timer", {"nodeId": "nap"})
    assert row.wake_at == checkpoints(world, execution)["nap"].retry_at
    assert sent.steps == []
    for table, column in (("checkpoints", "retry_at"), ("executions", "wake_at")):
        world.execute(f"UPDATE chaingraph_{table} SET {column} = clock_timestamp()")
    sweeps = PgSweepStore(world.database, "sweeper")
    assert sweeps.fire_timers(10, 0).ids == [execution]
    sweeps.close()
    assert sent.advance(execution) is RunEnd.FINISHED
    assert told(world, execution)[2:-2] == ["node:started nap", "node:completed nap"]


def test_a_deadline_ends_what_waits_for_a_sent_step(world: PgWorld, process: Process) -> None:
    """Nobody owns the execution meanwhile; the step is void from then on."""
    execution = execution_of(
        world, flow(node("a", "ProbeNode")), options=options(flowTimeoutMs=60_000)
    )
    sent = Sent(process, (node_that(lambda _: None),))
    assert sent.advance(execution) is RunEnd.PARKED
    row = world.row(execution)
    assert row.wake_at == row.deadline_at
    world.execute(
        "UPDATE chaingraph_executions SET deadline_at = clock_timestamp(),"
        " wake_at = clock_timestamp()"
    )
    sweeps = PgSweepStore(world.database, "sweeper")

    [effect] = sweeps.end_overdue(10)

    sweeps.close()
    assert effect.execution_id == execution
    assert world.row(execution).status == "failed"
    assert not sent.run_step()
