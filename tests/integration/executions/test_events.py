"""What a run tells and writes, held against docs/flows.md."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence

import pytest

from app.executions import writer
from app.executions.run import RunEnd
from app.nodes.sdk import NodeContext
from tests.integration.executions.nodes import effect, node_that
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
from tests.waiting import wait_until
from tests.world import PgWorld

TWO_IN_A_ROW = [
    "execution:created",
    "flow:started",
    "node:started a",
    "node:completed a",
    "node:started b",
    "node:completed b",
    "flow:completed",
    "execution:completed",
]


def test_two_nodes_in_a_row_tell_what_the_example_tells(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, chain(node("a", values={"text": "Ada"}), node("b")))

    assert process.run(execution) is RunEnd.FINISHED

    assert told(world, execution) == TWO_IN_A_ROW
    assert process.published_types() == [each.split()[0] for each in TWO_IN_A_ROW[1:]]
    completed = [
        json.loads(data) for _, type_, data in world.events(execution) if "node:comp" in type_
    ]
    assert [each["outputs"] for each in completed] == [{"text": "Ada"}, {"text": "Ada"}]


def test_with_debug_they_tell_more(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, chain(node("a"), node("b")), options=options(debug=True))

    process.run(execution)

    assert told(world, execution) == [
        "execution:created",
        "flow:started",
        "node:status-changed a",
        "node:status-changed a",
        "node:started a",
        "node:status-changed a",
        "port:updated a",
        "node:completed a",
        "node:status-changed b",
        "node:started b",
        "edge:transfer-completed",
        "node:status-changed b",
        "port:updated b",
        "node:completed b",
        "flow:completed",
        "execution:completed",
    ]


def test_the_last_event_is_of_the_time_at_which_the_row_is_final(
    world: PgWorld, process: Process
) -> None:
    execution = execution_of(world, flow(node("a")))

    process.run(execution)

    row = world.row(execution)
    last = world.one(
        "SELECT max(timestamp) FROM chaingraph_execution_events WHERE execution_id = %s", execution
    )
    assert (row.status, row.completed_at, row.updated_at) == ("completed", last, last)
    assert row.started_at <= row.completed_at
    assert (row.nodes_completed, row.last_event_index) == (1, 4)


def test_what_is_published_is_committed_and_in_order(world: PgWorld, process: Process) -> None:
    committed: list[bool] = []

    def publish(execution_id: str, first: int, lines: Sequence[bytes]) -> None:
        stored = {index for index, _, _ in world.events(execution_id)}
        committed.append(set(range(first, first + len(lines))) <= stored)
        process.publish(execution_id, first, lines)

    execution = execution_of(world, chain(*(node(each, "EffectNode") for each in "abc")))

    process.run(execution, effect, publish=publish)

    assert committed
    assert all(committed)
    firsts = [first for _, first, _ in process.published]
    sizes = [len(types) for _, _, types in process.published]
    assert firsts == [sum(sizes[:number]) for number in range(len(sizes))]


# -- how many statements


def five(type_: str) -> list[dict[str, object]]:
    return [node(f"n{number}", type_) for number in range(5)]


def test_five_pure_nodes_are_written_together(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, chain(*five("TextNode")))

    # In no time: what may wait for a while waits for the end.
    process.run(execution, clock=lambda: 0.0)

    assert process.store.writes <= 3
    assert world.writes(execution) == process.store.writes
    assert list(checkpoints(world, execution)) == ["n0", "n1", "n2", "n3", "n4"]


def test_five_nodes_with_effects_take_a_statement_each_and_one_to_begin(
    world: PgWorld, process: Process
) -> None:
    execution = execution_of(world, chain(*five("EffectNode")))

    process.run(execution, effect)

    assert process.store.calls == ["claim", "document"] + ["write"] * 6
    assert world.writes(execution) == 6


def test_an_effect_begins_once_all_before_it_is_committed(world: PgWorld, process: Process) -> None:
    seen: list[tuple[list[str], list[str]]] = []

    def look(ctx: NodeContext) -> None:
        seen.append((told(world, execution), list(checkpoints(world, execution))))
        seen_grants.append(world.row(execution).grants)

    seen_grants: list[object] = []
    execution = execution_of(
        world, chain(node("a"), node("b", "ProbeNode"), node("c", "ProbeNode"))
    )

    process.run(execution, node_that(look))

    before_b, before_c = seen
    assert before_b == (
        [
            "execution:created",
            "flow:started",
            "node:started a",
            "node:completed a",
            "node:started b",
        ],
        ["a"],
    )
    assert before_c[0][-2:] == ["node:completed b", "node:started c"]
    assert before_c[1] == ["a", "b"]
    assert seen_grants == [{"b": 1}, {"c": 1}]
    assert world.row(execution).grants == {}


def test_a_checkpoint_says_what_became_of_its_node(world: PgWorld, process: Process) -> None:
    execution = execution_of(
        world, chain(node("a", "EffectNode", values={"text": "Ada"}), node("b"))
    )

    process.run(execution, effect)

    rows = checkpoints(world, execution)
    assert [(row.status, row.attempt, row.outputs, row.error) for row in rows.values()] == [
        ("completed", 1, {"text": "Ada"}, None)
    ] * 2
    assert [row.seq for row in rows.values()] == [0, 1]
    assert rows["a"].worker_id == "w1"
    assert rows["a"].started_at <= rows["a"].completed_at
    assert rows["a"].chosen == []
    assert len(rows["b"].chosen) == 1


# -- live


def test_what_a_node_says_is_committed_and_told_while_it_runs(
    world: PgWorld, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As long as a busy machine may need from one to the other.
    monkeypatch.setattr(writer, "GATHER_FIRST_S", 0.5)
    monkeypatch.setattr(writer, "GATHER_LIVE_S", 0.5)
    goes_on = threading.Event()

    def speak(ctx: NodeContext) -> None:
        ctx.log("hello")
        ctx.progress(0.5, "half")
        goes_on.wait(60)

    execution = execution_of(world, flow(node("a", "ProbeNode")))
    run = process.start(process.claim(process.around(node_that(speak)), execution))

    wait_until(lambda: "node:progress" in process.published_types(), "it is told")
    assert told(world, execution)[-2:] == ["node:debug-log-string a", "node:progress a"]
    assert world.row(execution).status == "running"
    goes_on.set()
    assert run.end() is RunEnd.FINISHED
    [live] = [each for each in process.published if "node:progress" in each[2]]
    assert live[2] == ["node:debug-log-string", "node:progress"]


def test_the_start_of_a_pure_node_is_told_when_it_takes_long(
    world: PgWorld, process: Process
) -> None:
    goes_on = threading.Event()
    execution = execution_of(world, flow(node("a", "ProbeNode")))
    slow = node_that(lambda _: goes_on.wait(60), effects=False)
    run = process.start(process.claim(process.around(slow), execution))

    wait_until(lambda: "node:started" in process.published_types(), "it is told")

    goes_on.set()
    assert run.end() is RunEnd.FINISHED
    assert told(world, execution)[2:4] == ["node:started a", "node:completed a"]


def test_a_node_that_never_stops_talking_is_heard_and_its_time_is_limited(
    world: PgWorld, process: Process
) -> None:
    def chatter(ctx: NodeContext) -> None:
        while True:
            ctx.log("again")
            ctx.check()

    execution = execution_of(world, flow(node("a", "ProbeNode", timeoutMs=60_000)))
    clock = LeapingClock()
    run = process.start(process.claim(process.around(node_that(chatter), clock=clock), execution))

    wait_until(lambda: "node:debug-log-string" in process.published_types(), "it is heard")
    assert run.is_alive
    clock.ahead_s = 60.0
    assert run.end() is RunEnd.FINISHED
    assert world.row(execution).error_message == "not done within 60000 ms"


@pytest.mark.parametrize("effects", [True, False])
def test_of_many_nodes_at_once_no_event_is_lost(
    world: PgWorld, process: Process, effects: bool
) -> None:
    def speak(ctx: NodeContext) -> None:
        for number in range(20):
            ctx.log(str(number))

    execution = execution_of(world, flow(*(node(f"n{n}", "ProbeNode") for n in range(20))))

    process.run(execution, node_that(speak, effects=effects))

    events = told(world, execution)
    for number in range(20):
        own = [each for each in events if each.endswith(f" n{number}")]
        assert own == (
            [f"node:started n{number}"]
            + [f"node:debug-log-string n{number}"] * 20
            + [f"node:completed n{number}"]
        )
