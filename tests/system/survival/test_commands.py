"""Commands to executions whose workers die, and to nodes in the middle of their work."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.ledger import Ledger, effects_in_a_row
from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import Trace
from tests.waiting import wait_until

KINDS = [("prefork", "inline"), ("threads", "message")]


def command(site: Stack, execution_id: str, name: str) -> dict[str, Any]:
    answer = site.http.post(f"/api/v1/executions/{execution_id}/{name}", json={"reason": "why"})
    assert answer.status_code == 202, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


@pytest.mark.parametrize(("pool", "dispatch"), KINDS)
def test_nothing_runs_between_a_pause_and_the_resume_whoever_dies(
    site: Stack, ledger: Ledger, make_crew: MakeCrew, pool: str, dispatch: str
) -> None:
    ledger.hold()
    crew = make_crew(pool=pool, concurrency=1, STEP_DISPATCH=dispatch)
    crew.muster(2)
    execution_id = site.run(site.store(ledger.chain(3)))
    ledger.await_effect(execution_id, "n00")

    assert command(site, execution_id, "pause")["requested"] == "pause"
    crew.kill_child(execution_id)
    paused = site.await_status(execution_id, "paused")
    assert (paused["requested"], paused["waiting"]["for"]) == (None, "resume")
    assert ledger.counts(execution_id) == {"n00": 1}
    ledger.let_go()
    command(site, execution_id, "resume")
    site.await_status(execution_id)

    trace = Trace(site, execution_id)
    trace.assert_completed_once()
    assert ledger.counts(execution_id) == {"n00": 2, "n01": 1, "n02": 1}
    assert len(trace.of_type("flow:paused")) == len(trace.of_type("flow:resumed")) == 1


@pytest.mark.parametrize(("pool", "dispatch"), KINDS)
def test_a_stop_reaches_the_worker_and_frees_it_for_steps(
    site: Stack, ledger: Ledger, make_crew: MakeCrew, pool: str, dispatch: str
) -> None:
    ledger.hold("n00")
    make_crew(pool=pool, concurrency=1, STEP_DISPATCH=dispatch).muster(1)
    stopped = site.run(site.store(ledger.chain(2)))
    ledger.await_effect(stopped, "n00")

    shown = command(site, stopped, "stop")
    assert (shown["status"], shown["errorMessage"]) == ("stopped", "why")
    # The effect in the middle is held still: it is the worker that has let go of it.
    steps = site.store(effects_in_a_row(ledger.url, ["a", "b"]))
    assert_stepped_through(site, site.run(steps, options={"breakpoints": ["a"]}))

    ledger.let_go()
    wait_until(lambda: ledger.is_idle, "the effect in the middle is over")
    assert site.execution(stopped)["status"] == "stopped"
    assert ledger.counts(stopped) == {"n00": 1}
    events = site.http.get(f"/api/v1/executions/{stopped}/events").json()["events"]
    assert [event["type"] for event in events][-2:] == ["flow:cancelled", "execution:stopped"]
    nodes = site.http.get(f"/api/v1/executions/{stopped}/nodes").json()["items"]
    assert [node["status"] for node in nodes] == ["cancelled", "cancelled"]


def assert_stepped_through(site: Stack, execution_id: str) -> None:
    """It stops at a breakpoint before its first node; then a step for each of the two."""
    hit = site.await_status(execution_id, "paused")
    assert (hit["waiting"]["for"], hit["waiting"]["detail"]) == ("breakpoint", {"nodeId": "a"})
    for done, status in ((1, "paused"), (2, "completed")):
        assert command(site, execution_id, "step")["status"] == "running"
        shown = site.await_status(execution_id, "paused", "completed")
        assert (shown["status"], shown["progress"]["completed"]) == (status, done)
    refused = site.http.post(f"/api/v1/executions/{execution_id}/step")
    assert refused.status_code == 409
