"""Times, durations and reasons as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.cli.execution_views import execution_facts, member_rows, node_row, recovery_row
from app.cli.words import assigned, duration, moment, took, waits_for, why
from app.client import Execution, Member, Node, Recovery

AT = "2026-01-02T03:04:05.678Z"
LATER = "2026-01-02T03:04:08.178Z"


def here(raw: str) -> str:
    """A time where this test runs."""
    return moment(datetime.fromisoformat(raw))


def execution(**changed: Any) -> Execution:
    raw = {
        "id": "EX1",
        "flowId": "V21",
        "flowVersion": 3,
        "status": "running",
        "requested": None,
        "waiting": None,
        "progress": {"total": 5, "completed": 1, "failed": 1, "skipped": 0},
        "outputs": None,
        "errorMessage": None,
        "errorNodeId": None,
        "createdAt": AT,
        "startedAt": AT,
        "completedAt": None,
        "lastEventIndex": 4,
        "failureCount": 0,
    }
    return Execution.from_json(raw | changed)


def node(**changed: Any) -> Node:
    names = ("id", "type", "status", "attempt", "inputs", "outputs", "error")
    return Node.from_json(dict.fromkeys(names) | {"id": "a", "type": "T"} | changed)


def member(execution_id: str, parent: str | None, level: int) -> Member:
    shown = execution(id=execution_id).raw
    return Member.from_json({"execution": shown, "parentId": parent, "level": level})


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, ""),
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1 s"),
        (2513, "2.51 s"),
        (59_999, "60 s"),
        (90_000, "1.5 min"),
        (3_600_000, "1 h"),
        (90_000_000, "1.04 d"),
        (1_000_000_000_000, "1.16e+04 d"),
    ],
)
def test_a_duration_is_in_the_unit_that_fits(ms: float | None, shown: str) -> None:
    assert duration(ms) == shown


def test_a_time_is_where_the_reader_is() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert moment(at) == at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    assert moment(None) == ""


def test_it_took_from_start_to_end() -> None:
    assert took(execution(completedAt=LATER)) == "2.5 s"
    assert took(execution()) == took(execution(startedAt=None, completedAt=LATER)) == ""


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, ""),
        ({"errorMessage": "m"}, "m"),
        ({"errorMessage": "m", "errorNodeId": "a"}, "m (node a)"),
        ({"requested": "pause"}, "pause requested"),
        (
            {"requested": "step", "waiting": {"for": "worker", "detail": {"queue": "default"}}},
            "step requested, waits for worker queue default",
        ),
    ],
)
def test_why_it_is_as_it_is(changed: dict[str, Any], shown: str) -> None:
    assert why(execution(**changed)) == shown


def test_what_is_waited_for_has_its_time_and_details() -> None:
    waiting = {"for": "timer", "until": AT, "detail": {"nodeId": "a", "limit": 3}}
    assert waits_for(waiting) == f"timer until {here(AT)} nodeId a limit 3"
    assert waits_for({"for": "resume", "until": None, "detail": None}) == "resume"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", "a = x"),
        ("one\ntwo\n", "a = one\n    two"),
        ({"k": "ü"}, 'a = {"k": "ü"}'),
        ("\x1b[2J", "a = \\x1b[2J"),
        (None, "a = null"),
    ],
)
def test_a_value_is_assigned_to_its_name(value: Any, shown: str) -> None:
    assert assigned("a", value) == shown


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, ""),
        ({"outputs": {"text": "x"}}, '{"text": "x"}'),
        ({"outputs": {"text": "x"}, "error": {"type": "E", "message": "m"}}, "E: m"),
        ({"retryAt": AT}, f"goes on at {here(AT)}"),
    ],
)
def test_a_node_is_shown_with_what_came_of_it(changed: dict[str, Any], outcome: str) -> None:
    assert node_row(node(status="completed", **changed))[-1] == outcome


def test_outputs_that_are_long_are_cut_off() -> None:
    outcome = str(node_row(node(status="completed", outputs={"text": "x" * 1000}))[-1])
    assert (len(outcome), outcome[-1]) == (100, "…")


def test_a_tree_is_shown_from_its_top_down() -> None:
    members = [
        member("top", "above", 0),
        member("b", "top", 1),
        member("c", "top", 1),
        member("d", "b", 2),
    ]
    assert [row[0] for row in member_rows(members)] == ["top", "  b", "    d", "  c"]


def test_losses_are_told_where_there_were_any() -> None:
    lost = {"failureCount": 2, "lastFailureReason": "worker_died", "lastFailureAt": AT}
    assert dict(execution_facts(execution(**lost)))["losses"] == f"2, last worker_died {here(AT)}"
    assert dict(execution_facts(execution()))["losses"] == ""


def test_a_recovery_says_who_had_it_and_who_took_it() -> None:
    raw = {
        "recoveredAt": AT,
        "recoveredByWorker": "w2",
        "recoveryReason": "no_claim",
        "previousStatus": "running",
        "previousWorkerId": None,
    }
    row = [str(cell) for cell in recovery_row(Recovery.from_json(raw))]
    assert row == [here(AT), "no_claim", "running", "", "w2"]
