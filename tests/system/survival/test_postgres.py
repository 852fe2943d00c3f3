"""PostgreSQL goes away and comes back: workers hold what they have, and go on as its owners."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.supervisor.guardian import Guardian
from tests.system.crew import Crew
from tests.system.ledger import Ledger
from tests.system.servers import ScratchPostgres, ScratchValkey
from tests.system.stack import Stack, run_stack
from tests.system.survival.conftest import ENVIRON
from tests.system.traces import Trace
from tests.waiting import wait_until

#: Longer than three effects take.
OUTAGE_S = 1.0


@pytest.fixture
def own_postgres(server_directory: Path, guardian: Guardian) -> Iterator[ScratchPostgres]:
    server = ScratchPostgres(server_directory / "own-postgres", guardian)
    server.start()
    server.create_schema()
    yield server
    server.remove()


@pytest.fixture
def own_stack(
    own_postgres: ScratchPostgres, site_valkey: ScratchValkey, tmp_path: Path, guardian: Guardian
) -> Iterator[Stack]:
    """An API on a PostgreSQL of the test's own."""
    with run_stack(
        own_postgres.url, site_valkey.url, tmp_path, guardian, workers=0, environ=ENVIRON
    ) as stack:
        yield stack


def test_postgres_is_restarted_and_then_killed_under_running_executions(
    own_stack: Stack, own_postgres: ScratchPostgres, ledger: Ledger
) -> None:
    crew = Crew(own_stack, concurrency=2)
    crew.muster(2)
    flow_id = own_stack.store(ledger.chain(4))
    ledger.hold("n01")
    execution_ids = [own_stack.run(flow_id) for _ in range(4)]
    for node_id, later, number in (("n01", "n02", signal.SIGINT), ("n02", "n03", signal.SIGKILL)):
        await_effects(ledger, execution_ids, node_id)
        own_postgres.stop(number)
        # What is under way ends while PostgreSQL is away.
        ledger.hold(later)
        assert_all_is_held(own_stack, ledger, execution_ids)
        own_postgres.start()
    ledger.let_go()
    for execution_id in execution_ids:
        own_stack.await_status(execution_id, "completed")
        trace = Trace(own_stack, execution_id)
        trace.assert_completed_once()
        assert not trace.interruptions
        assert not trace.recoveries
        assert set(ledger.counts(execution_id).values()) == {1}
    assert all(worker.is_running for worker in crew.workers)
    assert {each["workerId"] for each in own_stack.workers()} == {
        worker.name for worker in crew.workers
    }


def await_effects(ledger: Ledger, execution_ids: list[str], node_id: str) -> None:
    wait_until(
        lambda: all(ledger.count(execution_id, node_id) for execution_id in execution_ids),
        f"all {node_id} have their effects",
    )


def assert_all_is_held(stack: Stack, ledger: Ledger, execution_ids: list[str]) -> None:
    """With PostgreSQL gone the API says so, and nothing runs on without its checkpoint."""
    gone_at = time.monotonic()
    wait_until(lambda: ledger.is_idle, "what was under way is done")
    effects = [ledger.counts(execution_id) for execution_id in execution_ids]
    flow_id = {"flowId": "V2any"}
    path = f"/api/v1/executions/{execution_ids[0]}"
    assert_refused(stack.http.get(path))
    assert_refused(stack.http.post(f"{path}/start"))
    assert_refused(stack.http.post("/api/v1/executions", json=flow_id))
    assert stack.http.get("/health/ready").status_code == 503
    assert stack.http.get("/health/live").status_code == 200
    wait_until(lambda: time.monotonic() > gone_at + OUTAGE_S, "the outage is over")
    assert [ledger.counts(execution_id) for execution_id in execution_ids] == effects


def assert_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "SERVICE_UNAVAILABLE"
    assert int(answer.headers["retry-after"]) >= 1
