"""A worker is frozen past its lease: the execution goes on elsewhere, the zombie writes nothing."""

from __future__ import annotations

import pytest

from tests.system.ledger import Ledger
from tests.system.stack import Managed, Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import Trace, ask
from tests.waiting import wait_until

HASTY = {"WORKER_HEARTBEAT_INTERVAL_MS": "300", "WORKER_CLAIM_TIMEOUT_MS": "3000"}


@pytest.mark.parametrize("dispatch", ["inline", "message"])
def test_a_zombie_writes_nothing_and_works_again(
    site: Stack, ledger: Ledger, make_crew: MakeCrew, dispatch: str
) -> None:
    crew = make_crew(STEP_DISPATCH=dispatch, **HASTY)
    crew.muster(2)
    ledger.hold("n01")
    execution_id = site.run(site.store(ledger.chain(4)))
    ledger.await_effect(execution_id, "n01")
    frozen = crew.owner(execution_id)
    [other] = [worker for worker in crew.workers if worker is not frozen]
    frozen.freeze()
    ledger.let_go()
    site.await_status(execution_id)
    before = Trace(site, execution_id)

    before.assert_completed_once()
    assert [reason for reason, *_ in before.recoveries] == ["expired_claim"]
    assert before.attempts() == {"n00": [1], "n01": [1, 2], "n02": [1], "n03": [1]}
    assert ledger.counts(execution_id) == {"n00": 1, "n01": 2, "n02": 1, "n03": 1}

    silent_since = last_heartbeat(site, frozen)
    frozen.thaw()
    wait_until(lambda: last_heartbeat(site, frozen) > silent_since, "it shows that it lives")
    other.kill_all()
    again = site.run(site.store(ledger.chain(3)))
    site.await_status(again)

    # What the zombie had in hand has come back to it by now: its node took less time than that.
    after = Trace(site, execution_id)
    assert (after.events, after.nodes, after.execution) == (
        before.events,
        before.nodes,
        before.execution,
    )
    assert ledger.counts(execution_id) == {"n00": 1, "n01": 2, "n02": 1, "n03": 1}
    Trace(site, again).assert_completed_once()
    assert set(ledger.counts(again).values()) == {1}


def test_a_worker_that_was_taken_for_dead_says_that_it_lives(
    site: Stack, make_crew: MakeCrew
) -> None:
    crew = make_crew(**HASTY)
    crew.muster(1)
    ask(site.database_url, "DELETE FROM chaingraph_workers")
    crew.await_all()
    [worker] = crew.workers
    wait_until(lambda: children_of(site, worker) == 2, "its children are known again, too")


def children_of(site: Stack, worker: Managed) -> int:
    [(count,)] = ask(
        site.database_url,
        "SELECT count(*) FROM chaingraph_workers WHERE parent_worker_id = %s"
        " AND lock_server_started_at = pg_postmaster_start_time()",
        worker.name,
    )
    return int(count)


def last_heartbeat(site: Stack, worker: Managed) -> str:
    [at] = [each["lastHeartbeatAt"] for each in site.workers() if each["workerId"] == worker.name]
    return str(at)
