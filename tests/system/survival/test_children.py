"""Child executions: one for each event whatever is killed, and no slot for whoever waits."""

from __future__ import annotations

from typing import Any

from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import Trace
from tests.waiting import wait_until

EVENT = "job"


def after(source: str, target: str) -> dict[str, str]:
    return {"source": f"{source}.__success", "target": f"{target}.__execute"}


def emitting(*emitters: dict[str, Any]) -> dict[str, Any]:
    """Emitters in a row, and a listener for what they emit."""
    ids = [each["id"] for each in emitters]
    listener = {"id": "on", "type": "EventListenerNodeV2", "values": {"eventName": EVENT}}
    log = {"id": "log", "type": "DebugLogNode", "values": {"message": "done"}}
    return {
        "metadata": {"name": "Emitting"},
        "nodes": [*emitters, listener, log],
        "edges": [*map(after, ids, ids[1:]), after("on", "log")],
    }


def tree(site: Stack, execution_id: str) -> list[dict[str, Any]]:
    """The children of an execution, as its tree shows them."""
    answer = site.http.get(f"/api/v1/executions/{execution_id}/tree")
    answer.raise_for_status()
    return [item["execution"] for item in answer.json()["items"] if item["level"] == 1]


def test_as_many_parents_as_slots_finish_with_children_of_their_own(
    site: Stack, make_crew: MakeCrew
) -> None:
    make_crew(pool="threads", concurrency=5).muster(1)
    emitters = [
        {
            "id": f"emit{number}",
            "type": "EventEmitterNode",
            "values": {"eventName": EVENT, "payload": {"n": number}},
        }
        for number in range(5)
    ]
    flow_id = site.store(emitting(*emitters))
    items = [{"flowId": flow_id, "autostart": True}] * 5
    answer = site.http.post("/api/v1/executions/batch", json={"items": items})
    parents = [item["id"] for item in answer.json()["items"]]

    for parent in parents:
        assert site.await_status(parent)["status"] == "completed"
        children = tree(site, parent)
        payloads = [child["externalEvents"][0]["payload"]["n"] for child in children]
        assert sorted(payloads) == [0, 1, 2, 3, 4]
        assert {child["status"] for child in children} == {"completed"}
        ends = [event["type"] for event in Trace(site, parent).events if "child" in event["type"]]
        assert ends.count("child:completed") == 5


def test_kills_leave_one_child_for_each_event(site: Stack, make_crew: MakeCrew) -> None:
    crew = make_crew(concurrency=1)
    crew.muster(2)
    holds = [
        {"id": name, "type": "EmitAndHoldNode", "values": {"event": EVENT}} for name in ("a", "b")
    ]
    parent = site.run(site.store(emitting(*holds)))

    for node_id in ("a", "b"):
        wait_until(lambda node_id=node_id: has_emitted(site, parent, node_id), "it has emitted")
        crew.kill_child(parent)
    site.await_status(parent)

    children = tree(site, parent)
    events = [child["externalEvents"] for child in children]
    assert events == [[{"eventName": EVENT, "payload": {"attempt": 2}}]] * 2
    assert {child["status"] for child in children} == {"completed"}
    trace = Trace(site, parent)
    trace.assert_whole()
    told = {event["data"]["childExecutionId"] for event in trace.of_type("child:completed")}
    assert told == {child["id"] for child in children}
    assert len(trace.of_type("child:spawned")) == len(trace.of_type("child:completed")) == 2


def has_emitted(site: Stack, execution_id: str, node_id: str) -> bool:
    """Whether the first attempt of a node has emitted, and waits for its process's end."""
    logs = Trace(site, execution_id).of_type("node:debug-log-string")
    return any(log["data"]["nodeId"] == node_id for log in logs)
