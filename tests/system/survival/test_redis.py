"""Redis is killed and comes back empty: nothing is lost, because nothing only lived there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.supervisor.guardian import Guardian
from tests.system.crew import Crew
from tests.system.ledger import Ledger
from tests.system.servers import ScratchValkey
from tests.system.stack import Stack, run_stack
from tests.system.survival.conftest import ENVIRON
from tests.system.traces import Trace, read_events
from tests.system.watchers import watching
from tests.waiting import wait_until

RUNNING, WAITING = 50, 20


@pytest.fixture
def own_valkey(tmp_path: Path, guardian: Guardian) -> Iterator[ScratchValkey]:
    server = ScratchValkey(tmp_path / "valkey", guardian)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_stack(
    database_url: str, own_valkey: ScratchValkey, tmp_path: Path, guardian: Guardian
) -> Iterator[Stack]:
    """An API on a Redis of the test's own."""
    with run_stack(
        database_url, own_valkey.url, tmp_path, guardian, workers=0, environ=ENVIRON
    ) as stack:
        yield stack


def created(stack: Stack, flow_id: str, count: int, *, autostart: bool) -> list[str]:
    item = {"flowId": flow_id, "autostart": autostart}
    answer = stack.http.post("/api/v1/executions/batch", json={"items": [item] * count})
    assert answer.status_code == 201, answer.text
    return [each["id"] for each in answer.json()["items"]]


def commanded(stack: Stack, execution_id: str, command: str) -> None:
    answer = stack.http.post(f"/api/v1/executions/{execution_id}/{command}")
    assert answer.status_code == 202, answer.text


def has_each_its_effect(ledger: Ledger, execution_ids: list[str]) -> bool:
    return all(ledger.count(each, "n01") for each in execution_ids)


def test_redis_is_killed_and_comes_back_empty(
    own_stack: Stack, own_valkey: ScratchValkey, ledger: Ledger
) -> None:
    crew = Crew(own_stack, pool="threads", concurrency=RUNNING + WAITING)
    crew.muster(1)
    ledger.effect_s = 0.1
    ledger.hold("n01")
    flow_id = own_stack.store(ledger.chain(3))
    running = created(own_stack, flow_id, RUNNING, autostart=True)
    waiting = created(own_stack, flow_id, WAITING, autostart=False)
    with watching(own_stack, running + waiting) as watchers:
        wait_until(lambda: has_each_its_effect(ledger, running), "all of them run")
        own_valkey.kill()
        # What is started while Redis is away is started all the same.
        for execution_id in waiting[: WAITING // 2]:
            answer = own_stack.http.post(f"/api/v1/executions/{execution_id}/start")
            assert answer.status_code == 202, answer.text
        ready = own_stack.http.get("/health/ready")
        assert (ready.status_code, ready.json()["redis"]) == (200, "down")
        own_valkey.start()
        ledger.let_go()
        for execution_id in waiting[WAITING // 2 :]:
            answer = own_stack.http.post(f"/api/v1/executions/{execution_id}/start")
            assert answer.status_code == 202, answer.text
        for execution_id in running + waiting:
            own_stack.await_status(execution_id, "completed")

    assert watchers.failures == {}
    assert watchers.ended == dict.fromkeys(running + waiting, "completed")
    for execution_id in running + waiting:
        assert watchers.events[execution_id] == read_events(own_stack, execution_id)
        trace = Trace(own_stack, execution_id)
        trace.assert_completed_once()
        assert not trace.interruptions
        assert not trace.recoveries
        assert set(ledger.counts(execution_id).values()) == {1}
    [worker] = crew.workers
    assert worker.is_running
    assert "Traceback" not in worker.log.read_text()


@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=pytest.mark.soak)])
def test_what_is_created_and_commanded_while_redis_is_away_needs_none(
    own_stack: Stack, own_valkey: ScratchValkey, ledger: Ledger, pool: str
) -> None:
    crew = Crew(own_stack, pool=pool, concurrency=2)
    crew.muster(1)
    ledger.hold()
    flow_id = own_stack.store(ledger.chain(2))
    own_valkey.kill()

    # One after the other: without a broker a process takes one at a time.
    [paused] = created(own_stack, flow_id, 1, autostart=True)
    ledger.await_effect(paused, "n00")
    commanded(own_stack, paused, "pause")
    ledger.let_go()
    own_stack.await_status(paused, "paused")
    assert ledger.counts(paused) == {"n00": 1}
    ledger.hold()
    [stopped] = created(own_stack, flow_id, 1, autostart=True)
    ledger.await_effect(stopped, "n00")
    commanded(own_stack, stopped, "stop")
    ledger.let_go()
    commanded(own_stack, paused, "resume")
    execution_ids = [paused, *created(own_stack, flow_id, 3, autostart=True)]
    for execution_id in execution_ids:
        own_stack.await_status(execution_id, "completed")

    assert own_stack.execution(stopped)["status"] == "stopped"
    assert ledger.counts(stopped) == {"n00": 1}

    for execution_id in execution_ids:
        Trace(own_stack, execution_id).assert_completed_once()
        assert set(ledger.counts(execution_id).values()) == {1}
