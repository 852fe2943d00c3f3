"""A node that kills its own process does so a few times, and is given up; others go on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.ledger import Ledger
from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import Trace, read_events
from tests.waiting import wait_until

CRASHES = 3

STARTED = "node:started"


def deadly_flow(node_type: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "Deadly"},
        "nodes": [
            {"id": "before", "type": "TextNode", "values": {"text": "Ada"}},
            {"id": "deadly", "type": node_type},
        ],
        "edges": [{"source": "before.text", "target": "deadly.text"}],
    }


@pytest.mark.parametrize(
    ("dispatch", "node_type"), [("inline", "ExitNode"), ("message", "SegfaultNode")]
)
def test_what_crashes_too_often_is_failed_for_good(
    site: Stack, ledger: Ledger, make_crew: MakeCrew, dispatch: str, node_type: str
) -> None:
    crew = make_crew(STEP_DISPATCH=dispatch, RECOVERY_MAX_FAILURE_COUNT=str(CRASHES))
    crew.muster(1)
    healthy = site.run(site.store(ledger.chain(4)))
    deadly = site.run(site.store(deadly_flow(node_type)))
    wait_until(lambda: is_final(site, deadly) or starts_of(site, deadly) > CRASHES, "it is over")

    trace = Trace(site, deadly)
    trace.assert_whole("failed")
    lost = [process for _, process, _ in trace.recoveries]
    assert trace.execution["errorMessage"] == (
        f"given up: its worker was lost {CRASHES} times since the last checkpoint,"
        f" while node 'deadly' ran (attempt {CRASHES}); lost: {', '.join(lost)}"
    )
    assert trace.execution["errorNodeId"] == "deadly"
    assert [event["type"] for event in trace.events[-2:]] == ["flow:failed", "execution:failed"]
    assert trace.events[-1]["data"]["errorMessage"] == trace.execution["errorMessage"]
    assert trace.attempts() == {"before": [1], "deadly": list(range(1, CRASHES + 1))}
    assert [reason for reason, *_ in trace.recoveries] == ["worker_died"] * CRASHES
    assert trace.execution["failureCount"] == CRASHES
    assert trace.execution["lastFailureReason"] == "worker_died"
    assert trace.execution["completedAt"]

    site.await_status(healthy)
    Trace(site, healthy).assert_completed_once()
    assert ledger.counts(healthy) == {f"n{number:02}": 1 for number in range(4)}
    assert crew.workers[0].is_running


def is_final(site: Stack, execution_id: str) -> bool:
    return site.execution(execution_id)["status"] in {"completed", "failed", "stopped"}


def starts_of(site: Stack, execution_id: str) -> int:
    started = [event for event in read_events(site, execution_id) if event["type"] == STARTED]
    return sum(event["data"]["nodeId"] == "deadly" for event in started)
