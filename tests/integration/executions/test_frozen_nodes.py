"""What becomes of a node whose timeout was entered for it by another process."""

from __future__ import annotations

import pytest

from app.executions.node_watch import overdue
from app.executions.run import RunEnd
from app.nodes.sdk import NodeContext
from app.store.overdue import OverdueStore
from tests.integration.executions.losing import Gate
from tests.integration.executions.nodes import effect, node_that
from tests.integration.executions.process import (
    Driven,
    Process,
    execution_of,
    flow,
    node,
    told,
)
from tests.waiting import wait_until
from tests.world import PgWorld


def frozen(process: Process, world: PgWorld, execution: str, gate: Gate) -> Driven:
    """Drive a run up to its gate, and enter its node's timeout from outside."""
    steps = []
    probe = node_that(gate)
    around = process.around(effect, probe)
    launch = around.launch
    around = process.around(effect, probe, launch=lambda step: (steps.append(step), launch(step)))
    driven = process.start(process.claim(around, execution))
    wait_until(lambda: gate.reached, "the node begins")
    [step] = [each for each in steps if each.node_id == "a"]
    OverdueStore(world.database).time_out(overdue(step, process.worker_id))
    return driven


@pytest.mark.parametrize(("attempts", "status"), [(1, "failed"), (2, "completed")])
def test_the_next_owner_finds_that_its_time_was_up(
    world: PgWorld, process: Process, other: Process, attempts: int, status: str
) -> None:
    retry = {"maxAttempts": attempts, "backoffMs": 0}
    execution = execution_of(world, flow(node("a", "ProbeNode", retry=retry, timeoutMs=60_000)))
    gate = Gate()
    driven = frozen(process, world, execution, gate)
    again: list[int] = []

    def begin(ctx: NodeContext) -> None:
        again.append(ctx.attempt)

    assert other.run(execution, effect, node_that(begin)) is RunEnd.FINISHED

    row = world.row(execution)
    assert (row.status, row.failure_count) == (status, 0)
    assert again == list(range(2, attempts + 1))
    assert told(world, execution).count("node:failed a") == 1
    gate.open()
    assert driven.end() is RunEnd.LOST


def test_its_siblings_are_run_again(world: PgWorld, process: Process, other: Process) -> None:
    document = flow(
        node("a", "ProbeNode", retry={"maxAttempts": 2, "backoffMs": 0}, timeoutMs=60_000),
        node("b", "ProbeNode"),
    )
    execution = execution_of(world, document)
    gate = Gate()
    driven = frozen(process, world, execution, gate)
    attempts: dict[str, int] = {}

    def begin(ctx: NodeContext) -> None:
        attempts[ctx.node_id] = ctx.attempt

    assert other.run(execution, effect, node_that(begin)) is RunEnd.FINISHED

    assert world.row(execution).status == "completed"
    assert attempts == {"a": 2, "b": 2}
    gate.open()
    driven.end()
