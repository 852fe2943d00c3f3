"""Events as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.cli.event_lines import LONGEST_VALUE, event_line
from app.cli.following import Passed, settles_node
from app.client import Event
from app.events.types import EventType


def event(type_: str, **data: Any) -> Event:
    return Event(0, type_, datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC), "EX1", data, {})


def essentials(type_: str, **data: Any) -> str:
    """What a line says after its time and type."""
    return event_line(event(type_, **data)).partition(type_)[2].strip()


@pytest.mark.parametrize(
    ("type_", "data", "shown"),
    [
        ("node:started", {"nodeId": "a", "nodeType": "T", "attempt": 1}, "a  T"),
        ("node:started", {"nodeId": "a", "nodeType": "T", "attempt": 2}, "a  T, attempt 2"),
        ("node:completed", {"nodeId": "a", "outputs": {}, "executionTimeMs": 3}, "a  3 ms"),
        (
            "node:completed",
            {"nodeId": "a", "outputs": {"x": "ü"}, "executionTimeMs": 3},
            'a  3 ms  {"x": "ü"}',
        ),
        (
            "node:failed",
            {"nodeId": "a", "error": {"type": "E", "message": "m"}, "willRetry": False},
            "a  E: m",
        ),
        ("node:skipped", {"nodeId": "a", "reason": "because"}, "a  because"),
        ("node:debug-log-string", {"nodeId": "a", "level": "info", "log": "l"}, "a  l"),
        ("node:debug-log-string", {"nodeId": "a", "level": "warn", "log": "l"}, "a  l  (warn)"),
        ("node:progress", {"nodeId": "a", "progress": 0.5, "message": "half"}, "a  50%  half"),
        ("execution:completed", {"executionTimeMs": 9}, "9 ms"),
        ("execution:failed", {"errorMessage": "m"}, "m"),
        ("child:spawned", {"childExecutionId": "EX2"}, "EX2"),
        ("something:new", {"what": 1}, ""),
    ],
)
def test_a_line_holds_what_matters(type_: str, data: dict[str, Any], shown: str) -> None:
    assert essentials(type_, **data) == shown


@pytest.mark.parametrize("type_", list(EventType))
def test_every_event_has_a_line_even_without_data(type_: str) -> None:
    line = event_line(event(type_))
    assert type_ in line
    assert "\n" not in line


def test_a_value_that_is_long_is_cut_off() -> None:
    line = essentials("port:updated", nodeId="a", portId="p", value="x" * 1000)
    assert line.endswith("…")
    assert len(line) < LONGEST_VALUE + 20


def test_nothing_in_a_line_reaches_the_terminal_as_a_command() -> None:
    line = essentials("node:debug-log-string", nodeId="a", level="info", log="\x1b[2J\r\n\udc80é")
    assert line == "a  \\x1b[2J\\r\\n\\udc80é"


def test_a_node_counts_once_it_is_done_with() -> None:
    assert settles_node(event("node:completed"))
    assert settles_node(event("node:skipped"))
    assert settles_node(event("node:failed", willRetry=False))
    assert not settles_node(event("node:failed", willRetry=True))
    assert not settles_node(event("node:started"))


def test_who_stops_reading_goes_on_behind_what_was_shown() -> None:
    events = [Event(index, "t", datetime.now(UTC), "EX1", {}, {}) for index in (4, 5, 9)]
    passed = Passed(iter(events), 4)
    next(passed)
    # It may not have been shown yet.
    assert passed.next_index == 4
    next(passed)
    assert passed.next_index == 5
    assert [event.index for event in passed] == [9]
    assert passed.next_index == 10
