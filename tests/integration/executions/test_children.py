"""Emitters and their children: made once, waited for without a worker, told in order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import NodeError
from app.executions.run import RunEnd
from app.executions.surroundings import ChildLimits
from app.nodes.sdk import NodeContext
from tests.integration.executions.nodes import effect, fail, node_that
from tests.integration.executions.process import (
    LeapingClock,
    Process,
    checkpoints,
    execution_of,
    flow,
    node,
    options,
    told,
)
from tests.waiting import wait_until
from tests.world import PgWorld

THREE = json.dumps([{"eventName": name} for name in ("first", "second", "third")])


def emitter(node_id: str, event: str, **payload: Any) -> dict[str, Any]:
    return node(node_id, "EventEmitterNode", values={"eventName": event, "payload": payload})


def listener(node_id: str, event: str) -> dict[str, Any]:
    return node(node_id, "EventListenerNodeV2", values={"eventName": event})


def after(source: str, target: str) -> dict[str, str]:
    return {"source": f"{source}.__success", "target": f"{target}.__execute"}


def two_orders() -> dict[str, Any]:
    """Two orders are emitted one after the other, and a listener takes each."""
    return flow(
        emitter("one", "order", n=1),
        emitter("two", "order", n=2),
        listener("on", "order"),
        edges=[after("one", "two")],
    )


def emits(*names: str, **more: Any) -> Any:
    """A node with effects that emits these."""

    def body(ctx: NodeContext) -> None:
        for name in names:
            ctx.emit(name)

    return node_that(body, "EmitsNode", **more)


def children(world: PgWorld, parent: str) -> list[Any]:
    return world.execute(
        "SELECT * FROM chaingraph_executions WHERE parent_execution_id = %s ORDER BY created_at",
        parent,
    )


def payloads(world: PgWorld, parent: str) -> list[Any]:
    return [row.external_events[0]["payload"] for row in children(world, parent)]


def test_each_emitted_event_becomes_a_child_that_is_waited_for(
    world: PgWorld, process: Process
) -> None:
    execution = execution_of(world, two_orders())

    assert process.run(execution) is RunEnd.PARKED

    first, second = children(world, execution)
    assert payloads(world, execution) == [{"n": 1}, {"n": 2}]
    waiting = world.row(execution).waiting
    assert (waiting["for"], waiting["until"]) == ("children", None)
    assert waiting["detail"] == {"childExecutionIds": [first.id, second.id]}

    assert process.run(second.id) is RunEnd.FINISHED
    assert process.run(execution) is RunEnd.PARKED
    assert process.run(first.id) is RunEnd.FINISHED
    assert process.run(execution) is RunEnd.FINISHED

    assert told(world, execution) == [
        "execution:created",
        "flow:started",
        "node:started one",
        "node:completed one",
        "child:spawned",
        "node:started two",
        "node:completed two",
        "child:spawned",
        "child:completed",
        "child:completed",
        "flow:completed",
        "execution:completed",
    ]
    ends = [json.loads(data) for _, type_, data in world.events(execution) if "child:c" in type_]
    assert ends == [
        {"childExecutionId": child.id, "eventName": "order"} for child in (second, first)
    ]
    assert world.row(execution).nodes_completed == world.row(execution).nodes_total - 1


def test_a_child_runs_only_what_listens_and_knows_whose_it_is(
    world: PgWorld, process: Process
) -> None:
    seen: dict[str, Any] = {}

    def look(ctx: NodeContext) -> None:
        seen.update(event=ctx.event, is_child=ctx.is_child, root=ctx.root_execution_id)

    document = flow(
        emitter("one", "order", n=1),
        listener("on", "order"),
        node("look", "LookNode"),
        edges=[after("on", "look")],
    )
    execution = execution_of(world, document, integration='{"key":"value"}')
    process.run(execution, node_that(look, "LookNode"))
    [child] = children(world, execution)

    assert process.run(child.id, node_that(look, "LookNode")) is RunEnd.FINISHED

    assert seen == {
        "event": {"eventName": "order", "payload": {"n": 1}},
        "is_child": True,
        "root": execution,
    }
    assert list(checkpoints(world, child.id)) == ["on", "look"]
    created = json.loads(world.events(child.id)[0][2])
    assert (created["parentExecutionId"], created["executionDepth"]) == (execution, 1)
    assert child.integration == {"key": "value"}


def test_an_emitter_among_pure_nodes_costs_no_commit_of_its_own(
    world: PgWorld, process: Process
) -> None:
    execution = execution_of(world, two_orders())
    process.run(execution, clock=lambda: 100.0)

    # All that was told, then the park.
    assert process.store.writes == 1


def test_a_flow_without_children_asks_for_none(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, flow(node("a"), node("b")))

    assert process.run(execution) is RunEnd.FINISHED
    assert set(process.store.calls) == {"claim", "document", "write"}


@pytest.mark.parametrize(("body", "end"), [(None, "completed"), (fail, "failed")])
def test_a_child_that_fails_does_not_fail_its_parent(
    world: PgWorld, process: Process, body: Any, end: str
) -> None:
    worker = effect if body is None else node_that(body, "EffectNode")
    document = flow(
        emitter("one", "order"),
        listener("on", "order"),
        node("work", "EffectNode"),
        edges=[after("on", "work")],
    )
    execution = execution_of(world, document)
    process.run(execution, worker)
    [child] = children(world, execution)
    process.run(child.id, worker)

    assert process.run(execution, worker) is RunEnd.FINISHED
    assert world.row(execution).status == "completed"
    [ended] = [data for _, type_, data in world.events(execution) if type_ == f"child:{end}"]
    error = {"type": "ChildFailed", "message": "boom"} if end == "failed" else None
    assert json.loads(ended).get("error") == error


def test_what_a_failed_attempt_emitted_comes_to_nothing(world: PgWorld, process: Process) -> None:
    def body(ctx: NodeContext) -> None:
        ctx.emit("order", {"attempt": ctx.attempt})
        if ctx.attempt == 1:
            raise NodeError("not yet")

    retried = node("a", "ProbeNode", retry={"maxAttempts": 2, "backoffMs": 1})
    execution = execution_of(world, flow(retried))
    process.run(execution, node_that(body))

    assert payloads(world, execution) == [{"attempt": 2}]


def test_an_attempt_whose_process_was_lost_emitted_nothing(
    world: PgWorld, process: Process, other: Process
) -> None:
    def body(ctx: NodeContext) -> None:
        ctx.emit("order", {"attempt": ctx.attempt})
        if ctx.attempt == 1:
            world.take_over(ctx.execution_id)

    execution = execution_of(world, flow(node("a", "ProbeNode")))

    assert process.run(execution, node_that(body)) is RunEnd.LOST
    assert children(world, execution) == []
    assert other.run(execution, node_that(body)) is RunEnd.PARKED
    assert payloads(world, execution) == [{"attempt": 2}]


def test_whoever_takes_a_parent_over_waits_for_the_children_that_there_are(
    world: PgWorld, process: Process, other: Process
) -> None:
    execution = execution_of(world, two_orders())
    process.run(execution)
    first, second = children(world, execution)
    process.run(first.id)

    assert other.run(execution) is RunEnd.PARKED
    process.run(second.id)
    assert process.run(execution) is RunEnd.FINISHED

    spawned = [line for line in told(world, execution) if line.startswith("child:")]
    assert spawned == ["child:spawned"] * 2 + ["child:completed"] * 2
    assert len(children(world, execution)) == 2


def test_further_events_become_children_at_the_start(world: PgWorld, process: Process) -> None:
    document = flow(listener("a", "first"), listener("b", "second"), listener("c", "third"))
    execution = execution_of(world, document, external_events=THREE)

    assert process.run(execution) is RunEnd.PARKED

    rows = children(world, execution)
    assert [row.external_events for row in rows] == [
        [{"eventName": "second"}],
        [{"eventName": "third"}],
    ]
    assert [row.nodes_total for row in rows] == [1, 1]
    assert told(world, execution)[:4] == [
        "execution:created",
        "flow:started",
        "child:spawned",
        "child:spawned",
    ]
    for row in rows:
        assert process.run(row.id) is RunEnd.FINISHED
    assert process.run(execution) is RunEnd.FINISHED


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (ChildLimits(depth=1), None),
        (ChildLimits(children=2), None),
        (ChildLimits(children=1), "child number 2; MAX_CHILDREN_PER_PARENT is 1"),
    ],
)
def test_more_children_than_are_allowed_are_a_node_error(
    world: PgWorld, process: Process, limits: ChildLimits, said: str | None
) -> None:
    # What comes with the start doesn't count.
    document = flow(node("a", "EmitsNode"))
    execution = execution_of(world, document)

    process.run(execution, emits("x", "y"), limits=limits)

    row = world.row(execution)
    if said is None:
        assert (row.status, len(children(world, execution))) == ("running", 2)
    else:
        assert (row.status, row.error_node_id) == ("failed", "a")
        assert said in row.error_message
        assert children(world, execution) == []


def test_the_limit_counts_over_the_life_of_an_execution(
    world: PgWorld, process: Process, other: Process
) -> None:
    document = flow(
        node("a", "EmitsNode"),
        node("gate", "EffectNode"),
        node("b", "EmitsNode"),
        edges=[after("a", "gate"), after("gate", "b")],
    )
    execution = execution_of(world, document, external_events=None)
    gate = node_that(lambda ctx: world.take_over(ctx.execution_id), "EffectNode")
    limits = ChildLimits(children=1)
    assert process.run(execution, emits("x"), gate, limits=limits) is RunEnd.LOST

    other.run(execution, emits("x"), effect, limits=limits)
    row = world.row(execution)
    assert (row.status, row.error_node_id) == ("failed", "b")


def test_what_is_too_deep_may_not_emit(world: PgWorld, process: Process) -> None:
    document = flow(
        emitter("one", "order"),
        listener("on", "order"),
        emitter("again", "order"),
        edges=[after("on", "again")],
    )
    execution = execution_of(world, document)
    process.run(execution, limits=ChildLimits(depth=1))
    [child] = children(world, execution)

    assert process.run(child.id, limits=ChildLimits(depth=1)) is RunEnd.FINISHED
    row = world.row(child.id)
    assert (row.status, row.error_node_id) == ("failed", "again")
    assert "MAX_EXECUTION_DEPTH is 1" in row.error_message
    assert children(world, child.id) == []


@pytest.mark.parametrize(
    ("name", "payload", "said"),
    [
        ("", {}, "needs a name"),
        ("x" * 256, {}, "at most 255"),
        ("x", [1], "not an object"),
        ("x", {"n": float("nan")}, "is no value"),
        ("x", {"text": "a" * (1024 * 1024)}, "bytes of JSON"),
    ],
)
def test_what_can_not_be_emitted_is_a_node_error(
    world: PgWorld, process: Process, name: Any, payload: Any, said: str
) -> None:
    execution = execution_of(world, flow(node("a", "ProbeNode")))

    process.run(execution, node_that(lambda ctx: ctx.emit(name, payload)))

    row = world.row(execution)
    assert row.status == "failed"
    assert said in row.error_message
    assert children(world, execution) == []


def test_a_parent_that_fails_stops_its_children(world: PgWorld, process: Process) -> None:
    document = flow(
        emitter("one", "order"),
        node("work", "EffectNode"),
        listener("on", "order"),
        edges=[after("one", "work")],
    )
    execution = execution_of(world, document)

    assert process.run(execution, node_that(fail, "EffectNode")) is RunEnd.FINISHED

    [child] = children(world, execution)
    assert (child.status, child.error_message) == ("stopped", "parent failed")
    assert world.row(execution).status == "failed"


def test_a_flow_whose_time_is_up_stops_its_children(world: PgWorld, process: Process) -> None:
    document = flow(
        emitter("one", "order"), node("late", "ProbeNode"), edges=[after("one", "late")]
    )
    execution = execution_of(world, document, options=options(flowTimeoutMs=30_000))
    clock = LeapingClock()

    def outlast(ctx: NodeContext) -> None:
        clock.leap(ctx, 30)
        assert ctx.cancelled.wait(60)

    assert process.run(execution, node_that(outlast), clock=clock) is RunEnd.FINISHED
    [child] = children(world, execution)
    assert (child.status, child.error_message) == ("stopped", "parent failed")


def test_a_pause_is_a_parents_own(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, two_orders())
    process.run(execution)
    first, second = children(world, execution)
    commands = world.commands()
    assert commands.pause(execution, "why") is not None
    for child in (first, second):
        assert process.run(child.id) is RunEnd.FINISHED
    assert world.row(execution).status == "paused"

    commands.resume(execution)
    assert process.run(execution) is RunEnd.FINISHED
    assert world.row(execution).status == "completed"


def test_an_owner_that_hears_of_a_child_notes_it_while_its_nodes_run(
    world: PgWorld, process: Process, other: Process
) -> None:
    def finish_child(ctx: NodeContext) -> None:
        [child] = children(world, ctx.execution_id)
        other.run(child.id, node_that(finish_child, "EffectNode"))
        runs[0].alert()
        wait_for_note(ctx.execution_id)

    def wait_for_note(execution_id: str) -> None:
        wait_until(lambda: "child:completed" in told(world, execution_id), "it is told")

    document = flow(
        emitter("one", "order"),
        node("work", "EffectNode"),
        listener("on", "order"),
        edges=[after("one", "work")],
    )
    execution = execution_of(world, document)
    around = process.around(node_that(finish_child, "EffectNode"))
    runs = [process.claim(around, execution)]

    assert runs[0].drive() is RunEnd.FINISHED
    assert told(world, execution)[-4:] == [
        "child:completed",
        "node:completed work",
        "flow:completed",
        "execution:completed",
    ]
