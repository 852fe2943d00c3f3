"""Another flow as a child: with inputs, its outputs taken, and without a worker that waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import NodeError
from app.executions.run import RunEnd
from app.executions.surroundings import ChildLimits
from app.nodes.sdk import NodeContext
from tests.integration.executions.nodes import node_that_gives
from tests.integration.executions.process import (
    Process,
    checkpoints,
    execution_of,
    flow,
    node,
    told,
)
from tests.integration.executions.sending import Sent
from tests.integration.executions.test_children import children
from tests.world import PgWorld

CALLED = "V2called"


def work(ctx: NodeContext, given: Any) -> Any:
    """What the child does."""
    if given == "bad" or (given == "flaky" and _tries.pop()):
        raise NodeError("boom")
    return [given]


_tries: list[bool] = []
VALUES = node_that_gives(work)


def call(given: Any = "x", **more: Any) -> dict[str, Any]:
    inputs = {"work": {"given": given}}
    known = {name: more.pop(name) for name in ("values", "retry") if name in more}
    values = {"flowId": CALLED, "inputs": inputs, **more, **known.get("values", {})}
    retry = {"retry": known["retry"]} if "retry" in known else {}
    return node("call", "RunFlowNode", values=values, **retry)


@pytest.fixture
def called(world: PgWorld) -> str:
    document = flow(node("work", "ValueNode"), node("beside", "ValueNode"))
    document["metadata"]["outputs"] = {"answer": "work.value"}
    return world.store_flow(document, CALLED)


def outputs_of(world: PgWorld, execution: str) -> Any:
    return checkpoints(world, execution)["call"].outputs


@pytest.mark.usefixtures("called")
def test_a_flow_runs_as_a_child_and_its_outputs_are_taken(
    world: PgWorld, process: Process, other: Process
) -> None:
    document = flow(
        call(),
        node("after", "ValueNode"),
        edges=[{"source": "call.outputs", "target": "after.given"}],
    )
    execution = execution_of(world, document)

    assert process.run(execution, VALUES) is RunEnd.PARKED
    [child] = children(world, execution)
    assert (child.flow_id, child.flow_version, child.execution_depth) == (CALLED, 1, 1)
    assert child.inputs == {"work": {"given": "x"}}
    assert world.row(execution).waiting["detail"] == {"childExecutionIds": [child.id]}
    assert checkpoints(world, execution)["call"].status == "waiting"

    assert other.run(child.id, VALUES) is RunEnd.FINISHED
    assert other.run(execution, VALUES) is RunEnd.FINISHED

    assert outputs_of(world, execution) == {
        "executionId": child.id,
        "outputs": {"answer": ["x"]},
    }
    assert checkpoints(world, execution)["after"].outputs == {"value": [{"answer": ["x"]}]}
    assert told(world, execution)[2:6] == [
        "node:started call",
        "child:spawned",
        "child:completed",
        "node:completed call",
    ]
    spawned = json.loads(world.events(execution)[4][2])
    assert spawned == {"childExecutionId": child.id, "eventName": None}


@pytest.mark.usefixtures("called")
def test_without_waiting_the_node_gives_the_id_and_the_parent_waits_at_its_end(
    world: PgWorld, process: Process
) -> None:
    execution = execution_of(world, flow(call(wait=False)))

    assert process.run(execution, VALUES) is RunEnd.PARKED
    [child] = children(world, execution)
    assert outputs_of(world, execution) == {"executionId": child.id, "outputs": {}}

    process.run(child.id, VALUES)
    assert process.run(execution, VALUES) is RunEnd.FINISHED
    assert world.row(execution).status == "completed"


@pytest.mark.usefixtures("called")
def test_a_child_that_fails_is_the_nodes_error(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, flow(call("bad")))
    process.run(execution, VALUES)
    [child] = children(world, execution)
    process.run(child.id, VALUES)

    assert process.run(execution, VALUES) is RunEnd.FINISHED

    row = world.row(execution)
    assert (row.status, row.error_node_id) == ("failed", "call")
    assert row.error_message == f"execution {child.id} is failed: boom"
    assert checkpoints(world, execution)["call"].error["type"] == "ChildFailed"


@pytest.mark.usefixtures("called")
def test_a_child_that_is_stopped_is_the_nodes_error(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, flow(call()))
    process.run(execution, VALUES)
    [child] = children(world, execution)
    world.commands().stop(child.id, "enough")
    world.commands().wake(execution)

    process.run(execution, VALUES)
    assert world.row(execution).error_message == f"execution {child.id} is stopped: enough"


@pytest.mark.usefixtures("called")
def test_a_retry_runs_the_flow_anew(world: PgWorld, process: Process) -> None:
    _tries[:] = [False, True]
    retry = {"maxAttempts": 2, "backoffMs": 1}
    execution = execution_of(world, flow(call("flaky", retry=retry)))
    process.run(execution, VALUES)
    [first] = children(world, execution)
    process.run(first.id, VALUES)

    assert process.run(execution, VALUES) is RunEnd.PARKED
    _, second = children(world, execution)
    process.run(second.id, VALUES)
    assert process.run(execution, VALUES) is RunEnd.FINISHED

    assert outputs_of(world, execution)["executionId"] == second.id
    assert checkpoints(world, execution)["call"].attempt == 2


@pytest.mark.usefixtures("called")
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"flowId": "V2none"}, "there is no flow 'V2none'"),
        ({"flowId": "V2\0"}, "there is no flow 'V2\ufffd'"),
        ({"inputs": {"nobody": {"x": 1}}}, "/inputs/nobody: there is no node 'nobody'"),
        ({"inputs": {"work": {"value": 1}}}, "'value' is an output"),
    ],
)
def test_what_can_not_run_is_a_node_error(
    world: PgWorld, process: Process, values: Any, said: str
) -> None:
    execution = execution_of(world, flow(call(values=values)))

    assert process.run(execution, VALUES) is RunEnd.FINISHED
    row = world.row(execution)
    assert (row.status, row.error_node_id) == ("failed", "call")
    assert said in row.error_message
    assert children(world, execution) == []


@pytest.mark.usefixtures("called")
def test_another_owners_flow_is_none(world: PgWorld, process: Process) -> None:
    world.execute("UPDATE chaingraph_flows SET owner_id = 'bob' WHERE id = %s", CALLED)
    execution = execution_of(world, flow(call()))
    process.run(execution, VALUES)
    assert world.row(execution).error_message == f"there is no flow '{CALLED}'"


@pytest.mark.usefixtures("called")
@pytest.mark.parametrize("limits", [ChildLimits(depth=0), ChildLimits(children=0)])
def test_limits_count_for_it(world: PgWorld, process: Process, limits: ChildLimits) -> None:
    execution = execution_of(world, flow(call()))
    process.run(execution, VALUES, limits=limits)
    row = world.row(execution)
    assert row.status == "failed"
    assert "MAX_" in row.error_message


@pytest.mark.usefixtures("called")
def test_a_step_that_was_sent_has_a_flow_run(world: PgWorld, process: Process) -> None:
    sent = Sent(process, (VALUES,))
    execution = execution_of(world, flow(call()))

    assert sent.advance(execution) is RunEnd.PARKED
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.PARKED
    [child] = children(world, execution)
    process.run(child.id, VALUES)
    assert sent.advance(execution) is RunEnd.FINISHED
    assert outputs_of(world, execution)["outputs"] == {"answer": ["x"]}
