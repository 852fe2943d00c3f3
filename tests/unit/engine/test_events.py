"""What a run tells: the sequences of docs/flows.md to the letter, and every field of the events."""

from __future__ import annotations

from typing import Any

from app.engine import Checkpoint, NodeFailure, NodeStatus, RunOptions
from app.events.types import Event, EventType
from app.local import LocalResult, run_in_process
from app.nodes.registry import builtin_catalogue
from tests.unit.engine.graphs import engine_of

DEBUG = RunOptions(debug=True)
BROKEN = NodeFailure("NodeError", "broken")

TWO_IN_A_ROW = {
    "id": "V2two",
    "metadata": {"name": "two"},
    "nodes": [
        {"id": "a", "type": "TextNode", "values": {"text": "hi"}},
        {"id": "b", "type": "TextNode"},
    ],
    "edges": [{"id": "e", "source": "a.text", "target": "b.text"}],
}


def two_in_a_row(options: RunOptions | None = None) -> LocalResult:
    return run_in_process(TWO_IN_A_ROW, builtin_catalogue(), options=options)


def told(event: Event) -> str:
    """An event in the words of docs/flows.md."""
    match event.type, event.data:
        case EventType.NODE_STATUS_CHANGED, {"nodeId": node, "oldStatus": old, "newStatus": new}:
            return f"{node} {old}→{new}"
        case ((EventType.NODE_STARTED | EventType.NODE_COMPLETED), {"nodeId": node}):
            return f"{event.type} {node}"
        case _:
            return str(event.type)


def test_two_nodes_in_a_row() -> None:
    result = two_in_a_row()

    assert [f"{index} {told(event)}" for index, event in enumerate(result.events, -1)] == [
        "-1 execution:created",
        "0 flow:started",
        "1 node:started a",
        "2 node:completed a",
        "3 node:started b",
        "4 node:completed b",
        "5 flow:completed",
        "6 execution:completed",
    ]


def test_two_nodes_in_a_row_with_debug() -> None:
    result = two_in_a_row(DEBUG)

    assert [f"{index} {told(event)}" for index, event in enumerate(result.events, -1)] == [
        "-1 execution:created",
        "0 flow:started",
        "1 a idle→initialized",
        "2 a initialized→executing",
        "3 node:started a",
        "4 a executing→completed",
        "5 port:updated",
        "6 node:completed a",
        "7 b initialized→executing",
        "8 node:started b",
        "9 edge:transfer-completed",
        "10 b executing→completed",
        "11 port:updated",
        "12 node:completed b",
        "13 flow:completed",
        "14 execution:completed",
    ]


def test_the_data_of_events() -> None:
    data = {
        f"{event.type} {event.data.get('nodeId')}": event.data for event in two_in_a_row().events
    }

    assert data["flow:started None"] == {"flowMetadata": {"name": "two"}}
    assert data["node:started b"] == {"nodeId": "b", "nodeType": "TextNode", "attempt": 1}
    assert data["node:completed b"] == {
        "nodeId": "b",
        "outputs": {"text": "hi"},
        "executionTimeMs": 0,
    }
    assert data["execution:completed None"] == {"executionTimeMs": 0}


def test_the_data_of_debug_events() -> None:
    events = {event.type: event.data for event in two_in_a_row(DEBUG).events}

    assert events[EventType.EDGE_TRANSFER_COMPLETED] == {
        "edgeId": "e",
        "sourceNodeId": "a",
        "sourcePortId": "text",
        "targetNodeId": "b",
        "targetPortId": "text",
    }
    assert events[EventType.PORT_UPDATED] == {"nodeId": "b", "portId": "text", "value": "hi"}


def test_the_data_of_a_failure() -> None:
    engine = engine_of(["a", "b"], ["a.out > b.a"])
    engine.begin()
    engine.start_next()
    engine.defer(0, BROKEN, 7, "2000-01-01T00:00:00.000Z")
    engine.retry(0)
    engine.start_next()
    engine.fail(0, BROKEN, 8)
    verdict = engine.verdict()
    assert verdict is not None
    engine.conclude(verdict, 9)
    error = {"type": "NodeError", "message": "broken"}
    failed: dict[str, Any] = {"nodeId": "a", "error": error}

    assert [(str(event.type), event.data) for event in engine.take_events()[2:]] == [
        (
            "node:failed",
            failed
            | {
                "attempt": 1,
                "willRetry": True,
                "retryAt": "2000-01-01T00:00:00.000Z",
                "executionTimeMs": 7,
            },
        ),
        ("node:started", {"nodeId": "a", "nodeType": "TestNode", "attempt": 2}),
        (
            "node:failed",
            failed | {"attempt": 2, "willRetry": False, "retryAt": None, "executionTimeMs": 8},
        ),
        ("node:skipped", {"nodeId": "b", "reason": "no source of port 'a' was resolved"}),
        ("flow:failed", {"executionTimeMs": 9, "error": error}),
        (
            "execution:failed",
            {"executionTimeMs": 9, "errorMessage": "broken", "errorNodeId": "a"},
        ),
    ]


def test_every_node_that_is_ready_at_the_start_is_told_of_before_any_starts() -> None:
    engine = engine_of(["b", "a", "z"], ["z.out > b.a"], DEBUG)
    engine.begin()

    assert [told(event) for event in engine.take_events()] == [
        "flow:started",
        "a idle→initialized",
        "z idle→initialized",
    ]


def test_a_retry_is_told_as_a_wait_that_ends() -> None:
    engine = engine_of(["a"], options=DEBUG)
    engine.begin()
    engine.start_next()
    engine.defer(0, BROKEN, 0, "2000-01-01T00:00:00.000Z")
    engine.retry(0)
    engine.start_next()

    statuses = [e for e in engine.take_events() if e.type is EventType.NODE_STATUS_CHANGED]
    assert [told(event) for event in statuses] == [
        "a idle→initialized",
        "a initialized→executing",
        "a executing→waiting",
        "a waiting→executing",
    ]


def test_a_node_that_a_crash_cut_off_starts_without_a_change_of_status() -> None:
    engine = engine_of(["a", "b"], ["a.out > b.a"], DEBUG)
    done = Checkpoint("a", NodeStatus.COMPLETED, 1, outputs={"out": 1})
    engine.restore([done], {"b": 1})
    assert engine.take_events() == []
    engine.start_next()

    first, *_ = engine.take_events()
    assert first.type is EventType.NODE_STARTED
    assert first.data == {"nodeId": "b", "nodeType": "TestNode", "attempt": 2}
