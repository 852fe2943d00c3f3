"""What `make chaos` holds executions against finds what is wrong with one."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos.load import Load
from tests.chaos.verdict import _of
from tests.system.traces import Trace

ID = "EX1"


def event(index: int, type_: str, node: str = "", **data: Any) -> dict[str, Any]:
    named = {"nodeId": node, "nodeType": "HttpRequestNode"} if node else {}
    return {"index": index, "type": type_, "data": named | data}


def completed() -> list[dict[str, Any]]:
    return [
        event(-1, "execution:created"),
        event(0, "node:started", "a", attempt=1),
        event(1, "node:completed", "a"),
        event(2, "execution:completed"),
    ]


def judged(events: list[dict[str, Any]], effects: int = 1, **load_has: Any) -> list[str]:
    """What is said of an execution with these events, whose node had so many effects."""
    trace: Any = Trace.__new__(Trace)
    trace.id = ID
    trace.events = events
    trace.execution = {"status": "completed", "lastEventIndex": 2, "errorMessage": None}
    trace.nodes = {"a": {"attempt": 1, "status": "completed"}}
    load = Load("http://127.0.0.1:9", [], 1)
    for name, value in load_has.items():
        setattr(load, name, value)
    ledger: Any = SimpleNamespace(counts=lambda _: {"a": effects} if effects else {})
    return list(_of(trace, load, ledger))


def watched(events: list[dict[str, Any]], ends: int = 1) -> dict[str, Any]:
    read = {each["index"]: each for each in events}
    return {"watched": {ID: read}, "ends": Counter({ID: ends}), "statuses": {ID: "completed"}}


def test_nothing_is_wrong_with_what_went_well() -> None:
    assert judged(completed(), **watched(completed())) == []


def test_indexes_with_a_gap() -> None:
    assert judged(completed()[:1] + completed()[2:])


def test_a_node_that_starts_after_its_checkpoint() -> None:
    events = [*completed()[:3], event(2, "node:started", "a", attempt=2)]

    assert any(each.startswith("2:") for each in judged(events))


@pytest.mark.parametrize(("effects", "said"), [(0, "7:"), (2, "3:")])
def test_an_effect_that_never_was_or_that_nobody_was_told_to_have(effects: int, said: str) -> None:
    assert [each[:2] for each in judged(completed(), effects)] == [said]


def test_a_stop_that_was_answered_and_came_to_nothing() -> None:
    assert [each[:2] for each in judged(completed(), stopped={ID})] == ["6:"]


def test_a_watcher_who_read_something_else_or_had_two_ends() -> None:
    other = [*completed()[:3], event(2, "execution:failed")]

    assert len(judged(completed(), **watched(other))) == 1
    assert len(judged(completed(), **watched(completed(), ends=2))) == 1
