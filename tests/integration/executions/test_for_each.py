"""A flow for each item: each once, in order, so many at once, and without a worker that waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.events.wire import to_json
from app.executions import fan_out
from app.executions.run import RunEnd
from app.executions.surroundings import ChildLimits
from app.nodes.sdk import NodeContext
from app.store.records import Void
from tests.integration.executions.losing import Gate
from tests.integration.executions.nodes import fail, node_that, node_that_gives
from tests.integration.executions.process import (
    MAX_VALUE_BYTES,
    Process,
    checkpoints,
    execution_of,
    flow,
    node,
    options,
    told,
)
from tests.integration.executions.sending import Sent
from tests.integration.executions.test_children import children
from tests.integration.executions.test_sleeps import outputs
from tests.waiting import wait_until
from tests.world import PgWorld

DOUBLE = "V2double"
LONG_MS = 60_000


def double(ctx: NodeContext, given: Any) -> Any:
    """What each child does."""
    if given == "bad":
        fail(ctx)
    return given * 2


VALUES = node_that_gives(double)


def each(*items: Any, concurrency: int = 2, target: str = "work.given", **more: Any) -> Any:
    values = {
        "flowId": DOUBLE,
        "items": list(items),
        "itemTarget": target,
        "concurrency": concurrency,
    }
    return node("each", "ForEachNode", values=values | more)


@pytest.fixture
def doubling(world: PgWorld) -> str:
    """A flow that doubles what its port is given."""
    return world.store_flow(flow(node("work", "ValueNode")), DOUBLE)


def run_children(world: PgWorld, process: Process, parent: str) -> int:
    """Run those that are unfinished, the youngest first; gives how many there were."""
    ids = [row.id for row in children(world, parent) if row.completed_at is None]
    for id_ in reversed(ids):
        assert process.run(id_, VALUES) is RunEnd.FINISHED
    return len(ids)


def finish(world: PgWorld, process: Process, execution: str) -> list[int]:
    """Run parent and children in turn to the end; gives how many were unfinished each time."""
    unfinished = []
    while process.run(execution, VALUES) is RunEnd.PARKED:
        unfinished.append(run_children(world, process, execution))
    return unfinished


def result(*values: Any, failed: int = 0, errors: Any = ()) -> dict[str, Any]:
    results = [None if value is None else {"work": {"value": value}} for value in values]
    return {"results": results, "failed": failed, "errors": list(errors)}


def test_the_flow_runs_once_for_each_item(world: PgWorld, process: Process, doubling: str) -> None:
    execution = execution_of(world, flow(each(1, 2, 3, 4, 5)))

    assert finish(world, process, execution) == [2, 2, 1]

    assert outputs(world, execution, "each") == result(2, 4, 6, 8, 10)
    rows = children(world, execution)
    assert [(row.parent_node_id, row.child_ordinal) for row in rows] == [
        ("each", place) for place in range(5)
    ]
    assert [row.inputs for row in rows] == [{"work": {"given": number}} for number in range(1, 6)]
    assert {row.child_state for row in rows} == {"told"}
    assert (world.row(execution).status, world.row(execution).children) == ("completed", 0)
    events = told(world, execution)
    assert events.count("child:spawned") == events.count("child:completed") == 5


def test_it_holds_no_worker_while_it_waits(world: PgWorld, process: Process, doubling: str) -> None:
    execution = execution_of(world, flow(each(1, 2, 3)))

    assert process.run(execution, VALUES) is RunEnd.PARKED

    row = world.row(execution)
    ids = [child.id for child in children(world, execution)]
    assert (row.status, row.processing_worker_id, row.grants) == ("running", None, {})
    assert (row.waiting["for"], row.waiting["detail"]) == ("children", {"childExecutionIds": ids})
    waits = checkpoints(world, execution)["each"]
    assert (waits.status, waits.retry_at, waits.error) == ("waiting", None, None)


def test_as_one_ends_the_next_begins(world: PgWorld, process: Process, doubling: str) -> None:
    execution = execution_of(world, flow(each(1, 2, 3, 4)))
    process.run(execution, VALUES)
    first, second = children(world, execution)

    process.run(second.id, VALUES)
    assert world.row(execution).runnable_at is not None
    assert process.run(execution, VALUES) is RunEnd.PARKED

    unfinished = [row for row in children(world, execution) if row.completed_at is None]
    assert [row.child_ordinal for row in unfinished] == [0, 2]
    assert first.id == unfinished[0].id


def test_nothing_is_run_for_no_items(world: PgWorld, process: Process, doubling: str) -> None:
    execution = execution_of(world, flow(each()))

    assert process.run(execution, VALUES) is RunEnd.FINISHED
    assert outputs(world, execution, "each") == result()


def test_items_come_over_an_edge(world: PgWorld, process: Process, doubling: str) -> None:
    document = flow(
        node("list", "ArrayNode", values={"array": [7, 8]}),
        each("stored"),
        edges=[{"source": "list.array", "target": "each.items"}],
    )
    execution = execution_of(world, document)

    finish(world, process, execution)

    assert outputs(world, execution, "each") == result(14, 16)


def test_a_child_that_fails_fails_nothing_else(
    world: PgWorld, process: Process, doubling: str
) -> None:
    execution = execution_of(world, flow(each(1, "bad", 3)))
    finish(world, process, execution)

    bad = children(world, execution)[1]
    error = {"index": 1, "executionId": bad.id, "message": "boom"}
    assert outputs(world, execution, "each") == result(2, None, 6, failed=1, errors=[error])
    assert world.row(execution).status == "completed"


def test_a_child_that_is_stopped_counts_as_failed(
    world: PgWorld, process: Process, doubling: str
) -> None:
    execution = execution_of(world, flow(each(1, 2)))
    process.run(execution, VALUES)
    first, second = children(world, execution)
    world.commands().stop(first.id, "enough")
    process.run(second.id, VALUES)

    assert process.run(execution, VALUES) is RunEnd.FINISHED

    error = {"index": 0, "executionId": first.id, "message": "enough"}
    assert outputs(world, execution, "each") == result(None, 4, failed=1, errors=[error])


def test_it_takes_the_newest_version_for_all_its_items(
    world: PgWorld, process: Process, doubling: str
) -> None:
    execution = execution_of(world, flow(each(1, 2, 3, concurrency=1)))
    process.run(execution, VALUES)
    world.store_flow(flow(node("other")), DOUBLE)
    run_children(world, process, execution)

    finish(world, process, execution)

    assert {row.flow_version for row in children(world, execution)} == {1}
    assert outputs(world, execution, "each") == result(2, 4, 6)


def test_without_a_target_nothing_is_given(world: PgWorld, process: Process) -> None:
    world.store_flow(flow(node("text", values={"text": "same"})), DOUBLE)
    execution = execution_of(world, flow(each(1, 2, target="")))

    finish(world, process, execution)

    results = outputs(world, execution, "each")["results"]
    assert results == [{"text": {"text": "same"}}] * 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"flowId": "V2none"}, "there is no flow 'V2none'"),
        ({"flowId": "V2\0"}, "there is no flow 'V2\ufffd'"),
        ({"itemTarget": "work"}, "itemTarget: 'work' names no node of the flow and its port"),
        ({"itemTarget": "x.y"}, "itemTarget: 'x.y' names no node of the flow and its port"),
        ({"itemTarget": "work.value"}, "itemTarget: node 'work' has no input 'value'"),
        ({"itemTarget": "work.other"}, "itemTarget: node 'work' has no input 'other'"),
        ({"itemTarget": "work.given.\0"}, "itemTarget must not hold the character NUL"),
        (
            {"itemTarget": f"work.{'x' * 999}"},
            f"itemTarget: node 'work' has no input '{'x' * 200}'",
        ),
        (
            # Cutting it at each of its dots would take hours.
            {"itemTarget": "." * 1_000_000},
            f"itemTarget: '{'.' * 200}' names no node of the flow and its port",
        ),
    ],
)
def test_what_can_not_run_is_an_error_of_the_node(
    world: PgWorld, process: Process, doubling: str, more: dict[str, Any], said: str
) -> None:
    execution = execution_of(world, flow(each(1, **more)))

    assert process.run(execution, VALUES) is RunEnd.FINISHED

    row = world.row(execution)
    assert (row.status, row.error_node_id, row.error_message) == ("failed", "each", said)
    assert children(world, execution) == []


def test_another_owners_flow_is_none(world: PgWorld, process: Process, doubling: str) -> None:
    world.change("chaingraph_flows", {"id": DOUBLE}, owner_id="ada")
    execution = execution_of(world, flow(each(1)))

    process.run(execution, VALUES)

    assert world.row(execution).error_message == f"there is no flow '{DOUBLE}'"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (ChildLimits(items=2), "items has 3 items; MAX_ITEMS_PER_FOREACH is 2"),
        (ChildLimits(depth=0), "its executions would be at depth 1; MAX_EXECUTION_DEPTH is 0"),
        (ChildLimits(items=3, children=1), None),
    ],
)
def test_there_are_limits(
    world: PgWorld, process: Process, doubling: str, limits: ChildLimits, said: str | None
) -> None:
    execution = execution_of(world, flow(each(1, 2, 3)))

    end = process.run(execution, VALUES, limits=limits)

    assert end is (RunEnd.PARKED if said is None else RunEnd.FINISHED)
    assert world.row(execution).error_message == said


def test_results_that_are_too_large_are_an_error(
    world: PgWorld, process: Process, doubling: str
) -> None:
    execution = execution_of(world, flow(each("x" * 300_000, "y" * 300_000)))

    finish(world, process, execution)

    row = world.row(execution)
    assert (row.status, row.error_node_id) == ("failed", "each")
    assert row.error_message == (
        f"output 'results' has more than the {MAX_VALUE_BYTES} bytes of JSON that are allowed"
    )


def test_results_that_are_too_large_are_not_all_read(
    world: PgWorld, process: Process, doubling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "BATCH", 1)
    items = ["x" * 300_000, "y" * 300_000, "z", "bad"]
    execution = execution_of(world, flow(each(*items, concurrency=4)))

    finish(world, process, execution)

    assert process.store.calls.count("ended_children") == 2


@pytest.mark.parametrize(("room", "status"), [(0, "completed"), (-1, "failed")])
def test_results_may_be_as_large_as_any_value(
    world: PgWorld, process: Process, doubling: str, room: int, status: str
) -> None:
    """They are measured as they are read, to the byte."""
    execution = execution_of(world, flow(each("é" * 200, "bad", 3, concurrency=3)))
    process.run(execution, VALUES)
    run_children(world, process, execution)
    size = len(to_json(result("é" * 400, None, 6)["results"]))

    assert process.run(execution, VALUES, max_value_bytes=size + room) is RunEnd.FINISHED
    assert world.row(execution).status == status


# -- losses


@pytest.mark.parametrize("write", range(1, 7))
def test_each_item_runs_once_whichever_write_is_lost(
    world: PgWorld, process: Process, other: Process, doubling: str, write: int
) -> None:
    """The parent's process is lost right after one of its writes, or right before it."""
    execution = execution_of(world, flow(each(1, 2, 3, 4)))
    store = process.store.store
    real, count = store.write, 0

    def lose(fence: Any, *args: Any) -> Any:
        nonlocal count
        count += fence.execution_id == execution
        if fence.execution_id != execution or (count + 1) // 2 != write:
            return real(fence, *args)
        if count % 2:
            world.take_over(execution)
            return Void()
        written = real(fence, *args)
        world.take_over(execution)
        return written

    store.write = lose  # type: ignore[method-assign]
    while world.row(execution).completed_at is None:
        if world.row(execution).runnable_at is not None:
            process.run(execution, VALUES)
        run_children(world, process, execution)
        unfinished = [row for row in children(world, execution) if row.completed_at is None]
        assert len(unfinished) <= 2

    assert outputs(world, execution, "each") == result(2, 4, 6, 8)
    rows = children(world, execution)
    assert [row.child_ordinal for row in rows] == [0, 1, 2, 3]
    assert told(world, execution).count("child:completed") == 4


def test_a_stop_reaches_the_children(world: PgWorld, process: Process, doubling: str) -> None:
    execution = execution_of(world, flow(each(1, 2, 3)))
    process.run(execution, VALUES)

    world.commands().stop(execution, "enough")

    assert {row.status for row in children(world, execution)} == {"stopped"}


def test_a_failure_beside_it_stops_the_children(
    world: PgWorld, process: Process, doubling: str
) -> None:
    document = flow(each(1, 2), node("nap", "SleepNode", values={"duration": 200}), node("f", "F"))
    document["edges"] = [{"source": "nap.__success", "target": "f.__execute"}]
    execution = execution_of(world, document)
    assert process.run(execution, VALUES, node_that(fail, "F")) is RunEnd.PARKED
    world.change("chaingraph_checkpoints", {"node_id": "nap"}, retry_at=world.now())
    world.wake(execution, runnable=True)

    assert process.run(execution, VALUES, node_that(fail, "F")) is RunEnd.FINISHED

    assert world.row(execution).status == "failed"
    assert {row.status for row in children(world, execution)} == {"stopped"}


def broken_fan_out(world: PgWorld, process: Process, document: Any, **execution: Any) -> str:
    """A run whose fan-out fails as a node type is gone, while a child of it is open."""
    id_ = execution_of(world, document, options=options(**execution))
    process.run(id_, VALUES)
    first, _ = children(world, id_)
    process.run(first.id, VALUES)
    assert process.run(id_) is RunEnd.PARKED
    assert checkpoints(world, id_)["each"].status == "error"
    return id_


def test_a_fan_out_that_fails_leaves_no_child_behind(
    world: PgWorld, process: Process, other: Process, doubling: str
) -> None:
    """The run waits for those that there are, whoever goes on with it."""
    execution = broken_fan_out(world, process, flow(each(1, 2, 3)), onNodeError="continue")

    world.wake(execution, runnable=True)
    assert other.run(execution) is RunEnd.PARKED
    assert run_children(world, process, execution) == 1
    assert other.run(execution) is RunEnd.FINISHED

    assert world.row(execution).status == "completed"
    assert {row.child_state for row in children(world, execution)} == {"told"}
    assert told(world, execution).count("child:completed") == 2


def test_a_run_that_fails_after_its_fan_out_has_stops_the_children(
    world: PgWorld, process: Process, other: Process, doubling: str
) -> None:
    limits = {"onNodeError": "continue", "flowTimeoutMs": LONG_MS}
    execution = broken_fan_out(world, process, flow(each(1, 2, 3)), **limits)
    world.change("chaingraph_executions", {"id": execution}, deadline_at=world.now())
    world.wake(execution, runnable=True)

    assert other.run(execution) is RunEnd.FINISHED

    assert world.row(execution).status == "failed"
    assert [row.status for row in children(world, execution)] == ["completed", "stopped"]


def test_while_paused_no_child_is_made(world: PgWorld, process: Process, doubling: str) -> None:
    execution = execution_of(world, flow(each(1, 2, 3)))
    process.run(execution, VALUES)
    world.commands().pause(execution, "why")
    assert run_children(world, process, execution) == 2
    assert world.row(execution).status == "paused"

    world.commands().resume(execution)

    assert finish(world, process, execution) == [1]
    assert outputs(world, execution, "each") == result(2, 4, 6)


@pytest.mark.parametrize("begins_before", [True, False])
def test_what_a_pause_held_back_goes_on_when_it_is_withdrawn(
    world: PgWorld, process: Process, doubling: str, begins_before: bool
) -> None:
    """Although nothing but the withdrawal tells the run, which waits for another node."""
    first, held = Gate(), Gate()
    slow, busy = node_that(first, "SlowNode"), node_that(held, "BusyNode")
    after = [{"source": "slow.__success", "target": "each.__execute"}]
    document = flow(
        node("slow", "SlowNode"),
        each(1, 2, 3, concurrency=1),
        node("busy", "BusyNode"),
        edges=after,
    )
    execution = execution_of(world, document)
    run = process.start(process.claim(process.around(VALUES, slow, busy), execution))
    wait_until(lambda: first.reached and held.reached, "both begin")
    if begins_before:
        first.open()
        wait_until(lambda: children(world, execution), "the first item is given")
    world.commands().pause(execution, "why")
    run.run.alert()
    wait_until(lambda: run.run._writer.request, "the run knows of the pause")
    if begins_before:
        run_children(world, process, execution)
        run.run.alert()
        wait_until(
            lambda: not run.run._offspring.children.are_open, "the run knows of the child's end"
        )
    first.open()

    world.commands().resume(execution)
    run.run.alert()
    wait_until(
        lambda: [row for row in children(world, execution) if row.completed_at is None],
        "the next item is given",
    )
    held.open()

    assert run.end() is RunEnd.PARKED
    while run_children(world, process, execution):
        process.run(execution, VALUES, slow, busy)
    assert outputs(world, execution, "each") == result(2, 4, 6)


def test_a_sent_step_fans_out_as_one_in_place_does(
    world: PgWorld, process: Process, doubling: str
) -> None:
    execution = execution_of(world, flow(each(1, 2)))
    sent = Sent(process, (VALUES,))
    assert sent.advance(execution) is RunEnd.PARKED
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.PARKED
    run_children(world, process, execution)

    assert sent.advance(execution) is RunEnd.FINISHED
    assert outputs(world, execution, "each") == result(2, 4)


def test_a_wake_up_costs_no_more_with_many_items(
    world: PgWorld, process: Process, doubling: str
) -> None:
    """Whatever has ended before is not read again."""
    execution = execution_of(
        world, flow(each(*range(40), concurrency=4)), options=options(flowTimeoutMs=0)
    )
    process.run(execution, VALUES)
    asked = []
    while [row for row in children(world, execution) if row.completed_at is None]:
        process.store.calls.clear()
        run_children(world, process, execution)
        process.store.calls.clear()
        process.run(execution, VALUES)
        asked.append(len(process.store.calls))

    assert max(asked[:-1]) <= 14
    [made] = world.rows("chaingraph_executions", id=execution)
    assert json.dumps(made.waiting) == "null"
