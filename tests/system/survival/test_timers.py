"""Times that come while nobody runs the execution, and while no worker is alive."""

from __future__ import annotations

from tests.system.ledger import Ledger
from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import Trace, ask
from tests.waiting import wait_until

#: Longer than it takes to park, and to lose every worker.
LIMIT_MS = 2500
#: From one attempt to the next.
BACKOFF_MS = 2000

STUMBLING = {
    "metadata": {"name": "Stumbling"},
    "nodes": [
        {
            "id": "stumbles",
            "type": "StumbleNode",
            "retry": {"maxAttempts": 3, "backoffMs": BACKOFF_MS},
        }
    ],
    "edges": [],
}


def nap(flow_id: str, duration_ms: int) -> dict[str, object]:
    node = {"id": "nap", "type": "SleepNode", "values": {"duration": duration_ms}}
    return {"id": flow_id, "metadata": {"name": flow_id}, "nodes": [node], "edges": []}


def await_waiting(site: Stack, execution_id: str, what: str) -> None:
    def waits() -> bool:
        waiting = site.execution(execution_id)["waiting"]
        return waiting is not None and waiting["for"] == what

    wait_until(waits, f"it waits for a {what}")


def is_due(site: Stack, execution_id: str) -> bool:
    """Whether its time has come, or it was seen to come."""
    statement = (
        "SELECT coalesce(wake_at <= clock_timestamp(), true) FROM chaingraph_executions"
        " WHERE id = %s"
    )
    return bool(ask(site.database_url, statement, execution_id)[0][0])


def test_sleeps_deadlines_and_retries_outlive_every_worker(
    site: Stack, ledger: Ledger, make_crew: MakeCrew
) -> None:
    crew = make_crew(concurrency=2)
    crew.muster(1)
    sleeper = site.run(site.store(nap("V2shortNap", LIMIT_MS)))
    options = {"execution": {"flowTimeoutMs": LIMIT_MS}}
    overdue = site.run(site.store(nap("V2longNap", 3_600_000)), options=options)
    stumbling = site.run(site.store(STUMBLING))
    for each in (sleeper, overdue):
        await_waiting(site, each, "timer")
    await_waiting(site, stumbling, "retry")
    assert not any(worker["active"] for worker in site.workers())

    crew.disband()
    wait_until(lambda: all(is_due(site, each) for each in (sleeper, overdue, stumbling)), "due")
    crew.muster(1)

    site.await_status(sleeper, "completed")
    site.await_status(overdue, "failed")
    failed = site.execution(overdue)
    assert failed["errorMessage"] == f"flow not done within {LIMIT_MS} ms"
    [node] = site.http.get(f"/api/v1/executions/{overdue}/nodes").json()["items"]
    assert node["status"] == "cancelled"
    [node] = site.http.get(f"/api/v1/executions/{sleeper}/nodes").json()["items"]
    assert node["outputs"]["actualDuration"] >= LIMIT_MS
    assert node["attempt"] == 1

    site.await_status(stumbling, "completed")
    trace = Trace(site, stumbling)
    key = f"{stumbling}:stumbles"
    assert trace.attempts() == {"stumbles": [1, 2, 3]}
    failures = [event["data"] for event in trace.of_type("node:failed")]
    assert [failure["error"]["message"] for failure in failures] == [key, key]
    assert trace.execution["outputs"] == {"stumbles": {"key": key}}
    waits_s = [
        trace.started_at("stumbles", each) - trace.started_at("stumbles", 1) for each in (2, 3)
    ]
    assert [wait >= turn * BACKOFF_MS / 1000 for turn, wait in enumerate(waits_s, 1)] == [True] * 2
    assert trace.recoveries == []
