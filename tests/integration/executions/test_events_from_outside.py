"""An event from outside and groups, over a crash and in another process than it began in."""

from __future__ import annotations

import json
from typing import Any

from app.executions.run import RunEnd
from tests.integration.executions.process import (
    Process,
    execution_of,
    flow,
    node,
    pass_time,
    told,
)
from tests.integration.executions.test_sleeps import fire, sleeper
from tests.waiting import wait_until
from tests.world import PgWorld

EVENTS = json.dumps([{"eventName": "order", "payload": {"who": "Ada"}}])


def listening() -> dict[str, Any]:
    """A listener behind a sleep in a group, and a text that belongs to no event."""
    inner = {"parentNodeId": "group"}
    return flow(
        node("group", "GroupNode"),
        sleeper("nap") | {"metadata": inner},
        node("on", "EventListenerNodeV2", values={"eventName": "order"}, metadata=inner),
        node("json", "JSONSerializerNode"),
        node("after", "BooleanNode"),
        node("loose"),
        edges=[
            {"source": "nap.__success", "target": "on.__execute"},
            {"source": "on.eventPayload", "target": "json.data"},
            {"source": "group.__success", "target": "after.flag"},
            {"source": "json.__success", "target": "after.__execute"},
        ],
    )


def test_an_event_drives_a_run_also_in_the_process_that_goes_on_with_it(
    world: PgWorld, process: Process, other: Process
) -> None:
    execution = execution_of(world, listening(), external_events=EVENTS)

    assert process.run(execution) is RunEnd.PARKED
    pass_time(world, execution, 60_000)
    wait_until(lambda: fire(world) == [execution], "the timer fires")
    assert other.run(execution) is RunEnd.FINISHED

    ended = [line for line in told(world, execution) if line.startswith("node:completed")]
    assert ended == [f"node:completed {name}" for name in ("nap", "on", "group", "json", "after")]
    [text] = [
        json.loads(data)["outputs"]["json"]
        for _, type_, data in world.events(execution)
        if type_ == "node:completed" and json.loads(data)["nodeId"] == "json"
    ]
    assert json.loads(text) == {"who": "Ada"}
    assert world.row(execution).nodes_completed == 5


def test_without_an_event_only_the_rest_runs(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, listening())

    assert process.run(execution) is RunEnd.FINISHED
    started = [line for line in told(world, execution) if line.startswith("node:completed")]
    assert started == ["node:completed loose"]
