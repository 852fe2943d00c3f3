"""Why an execution waits, as the API shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.executions.views import created_row, execution_json
from tests.world import new_execution

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def waiting(*, limit: int | None = None, start: bool = True, **more: Any) -> Any:
    row = created_row(new_execution(1, start=start), AT)
    vars(row).update(more)
    return execution_json(row, limit=limit)["waiting"]


def test_a_wait_for_the_start_ends_at_its_deadline() -> None:
    assert waiting(start=False) == {
        "for": "start-signal",
        "since": "2026-01-02T03:04:05.000Z",
        "until": "2026-01-02T03:09:05.000Z",
        "detail": {},
    }


@pytest.mark.parametrize(
    ("limit", "what", "detail"),
    [(None, "worker", {"queue": "default"}), (3, "concurrency-limit", {"limit": 3})],
)
def test_what_is_runnable_waits_for_a_worker_or_for_a_slot(
    limit: int | None, what: str, detail: dict[str, Any]
) -> None:
    assert waiting(limit=limit) == {
        "for": what,
        "since": "2026-01-02T03:04:05.000Z",
        "until": None,
        "detail": detail,
    }


def test_every_leaf_of_an_integration_is_masked() -> None:
    integration = '{"user":{"name":"Ada","team":null},"keys":[1,null,true]}'
    row = created_row(new_execution(1, integration=integration), AT)

    assert execution_json(row)["integration"] == {
        "user": {"name": "********", "team": "********"},
        "keys": ["********"] * 3,
    }


def test_without_an_integration_none_is_shown() -> None:
    assert execution_json(created_row(new_execution(1), AT))["integration"] is None


def test_who_runs_or_is_over_does_not_wait() -> None:
    assert waiting(limit=3, runnable_at=None) is None
    assert waiting(limit=3, status="failed") is None


def test_what_is_parked_says_so_itself() -> None:
    stored = '{"for":"timer","since":"…","until":"…","detail":{"nodeId":"nap"}}'
    row = {"runnable_at": None, "waiting": stored, "wake_at": AT + timedelta(seconds=1)}
    assert waiting(limit=3, **row)["for"] == "timer"


def test_a_secret_in_an_event_is_masked() -> None:
    events = '[{"eventName":"e","payload":{"key":{"$sealed":"gAAAAA"},"text":"t"}}]'
    row = created_row(new_execution(1, start=True), AT)
    row.external_events = events
    assert execution_json(row, limit=None)["externalEvents"] == [
        {"eventName": "e", "payload": {"key": "********", "text": "t"}}
    ]
