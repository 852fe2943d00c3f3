"""Times that come while nobody runs the execution, and while no worker is alive."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import Trace, ask
from tests.waiting import wait_until

#: What may be long enough to park, and to lose every worker meanwhile: the first that is, is taken.
LIMITS_MS = (2500, 10_000, 40_000)


def one_node(node_id: str, node_type: str, **more: Any) -> dict[str, Any]:
    node = {"id": node_id, "type": node_type, **more}
    return {"metadata": {"name": node_id}, "nodes": [node], "edges": []}


def nap(duration_ms: int) -> dict[str, Any]:
    return one_node("nap", "SleepNode", values={"duration": duration_ms})


class Parked(NamedTuple):
    """Executions that wait for a time; each comes so long (ms) after it was set."""

    limit_ms: int
    sleeper: str
    overdue: str
    stumbling: str

    @property
    def ids(self) -> tuple[str, str, str]:
        return self.sleeper, self.overdue, self.stumbling


def park(site: Stack, limit_ms: int) -> Parked:
    """Have three executions run; given back once they wait, or were too quick for that."""
    retry = {"maxAttempts": 3, "backoffMs": limit_ms}
    options = {"execution": {"flowTimeoutMs": limit_ms}}
    parked = Parked(
        limit_ms,
        sleeper=site.run(site.store(nap(limit_ms))),
        overdue=site.run(site.store(nap(3_600_000)), options=options),
        stumbling=site.run(site.store(one_node("stumbles", "StumbleNode", retry=retry))),
    )
    for each, what in zip(parked.ids, ("timer", "timer", "retry"), strict=True):
        await_waiting(site, each, what)
    return parked


def await_waiting(site: Stack, execution_id: str, what: str) -> None:
    def waits() -> bool:
        shown = site.execution(execution_id)
        waiting = shown["waiting"]
        return shown["completedAt"] or (waiting is not None and waiting["for"] == what)

    wait_until(waits, f"it waits for a {what}")


def is_due(site: Stack, execution_id: str) -> bool:
    """Whether its time has come, or it was seen to come."""
    statement = (
        "SELECT coalesce(wake_at <= clock_timestamp(), true) FROM chaingraph_executions"
        " WHERE id = %s"
    )
    return bool(ask(site.database_url, statement, execution_id)[0][0])


def test_sleeps_deadlines_and_retries_outlive_every_worker(
    site: Stack, make_crew: MakeCrew
) -> None:
    crew = make_crew(concurrency=2)
    for limit_ms in LIMITS_MS:
        crew.muster(1)
        parked = park(site, limit_ms)
        held = {each for worker in site.workers() for each in worker["active"]}
        crew.disband()
        if held.isdisjoint(parked.ids) and not any(is_due(site, each) for each in parked.ids):
            break
    else:
        pytest.fail(f"they were held, or came due before every worker was lost: {held}")
    wait_until(lambda: all(is_due(site, each) for each in parked.ids), "all are due")
    crew.muster(1)
    _, sleeper, overdue, stumbling = parked

    site.await_status(sleeper, "completed")
    site.await_status(overdue, "failed")
    failed = site.execution(overdue)
    assert failed["errorMessage"] == f"flow not done within {limit_ms} ms"
    [node] = site.http.get(f"/api/v1/executions/{overdue}/nodes").json()["items"]
    assert node["status"] == "cancelled"
    [node] = site.http.get(f"/api/v1/executions/{sleeper}/nodes").json()["items"]
    assert node["outputs"]["actualDuration"] >= limit_ms
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
    assert [wait >= turn * limit_ms / 1000 for turn, wait in enumerate(waits_s, 1)] == [True] * 2
    assert trace.recoveries == []
