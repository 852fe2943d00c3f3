from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.executions.waiting import MOST_NAMED, why_parked

SINCE = datetime(2026, 1, 2, tzinfo=UTC)
#: Nothing is looked up in a plan while all that is waited for are children.
NO_PLAN: Any = None


def detail(children: int) -> Any:
    ids = [f"EX{number}" for number in range(children)]
    return why_parked(None, NO_PLAN, (), ids, SINCE)["detail"]


def test_children_that_are_waited_for_are_named() -> None:
    assert detail(2) == {"childExecutionIds": ["EX0", "EX1"]}


def test_of_very_many_the_first_are_named_and_all_are_counted() -> None:
    told = detail(10_000)
    assert told["childExecutionIds"] == [f"EX{number}" for number in range(MOST_NAMED)]
    assert told["children"] == 10_000
