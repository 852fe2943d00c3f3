"""Workers that are told to end: they hand over, in time, and nobody is to blame."""

from __future__ import annotations

import signal

import pytest

from tests.system.ledger import Ledger
from tests.system.servers import ScratchValkey
from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import Trace
from tests.waiting import wait_until

#: How long (ms) a drain may take that can't end.
DRAINS_WITHIN_MS = 500


def status_of(site: Stack, name: str) -> str | None:
    return next((each["status"] for each in site.workers() if each["workerId"] == name), None)


@pytest.mark.parametrize(("pool", "dispatch"), [("prefork", "inline"), ("threads", "message")])
def test_what_takes_longer_than_a_drain_is_handed_over_and_a_silent_broker_is_not_waited_for(
    site: Stack,
    site_valkey: ScratchValkey,
    ledger: Ledger,
    make_crew: MakeCrew,
    pool: str,
    dispatch: str,
) -> None:
    ledger.hold()
    crew = make_crew(
        pool=pool, STEP_DISPATCH=dispatch, WORKER_DRAIN_TIMEOUT_MS=str(DRAINS_WITHIN_MS)
    )
    crew.muster(2)
    execution_id = site.run(site.store(ledger.chain(2)))
    ledger.await_effect(execution_id, "n00")
    [leaving] = [each for each in site.workers() if execution_id in each["active"]]
    worker = crew.worker_of(leaving["workerId"])

    worker.signal(signal.SIGTERM)
    wait_until(lambda: status_of(site, worker.name) != "running", "it says that it drains")
    ledger.await_effect(execution_id, "n00", count=2)
    ledger.let_go()
    site.await_status(execution_id)

    assert worker.see_end() == 0
    trace = Trace(site, execution_id)
    trace.assert_completed_once()
    assert ledger.counts(execution_id) == {"n00": 2, "n01": 1}
    assert trace.recoveries == []
    assert trace.execution["failureCount"] == 0
    assert status_of(site, worker.name) is None

    [idle] = [each for each in crew.workers if each is not worker]
    site_valkey.freeze()
    try:
        # One that waits for the broker is ended by force, and tells of that by its status.
        assert idle.terminate() == 0
        assert status_of(site, idle.name) is None
    finally:
        site_valkey.thaw()
    assert "without a word to the broker" in idle.log.read_text()


def test_all_workers_are_replaced_one_by_one_and_nothing_is_lost_or_run_twice(
    site: Stack, ledger: Ledger, make_crew: MakeCrew
) -> None:
    crew = make_crew()
    crew.muster(2)
    first, second = crew.workers
    ledger.hold("n01")
    flow_id = site.store(ledger.chain(4))
    execution_ids = [site.run(flow_id) for _ in range(4)]
    for execution_id in execution_ids:
        ledger.await_effect(execution_id, "n01")
    crew.muster(4)
    for leaving, next_node in ((first, "n02"), (second, "n03")):
        leaving.signal(signal.SIGTERM)
        wait_until(lambda leaving=leaving: status_of(site, leaving.name) != "running", "it drains")
        ledger.hold(next_node)
        assert leaving.see_end() == 0
        for execution_id in execution_ids:
            ledger.await_effect(execution_id, next_node)
            assert crew.owner(execution_id) is not leaving
    ledger.let_go()
    for execution_id in execution_ids:
        site.await_status(execution_id)

    for execution_id in execution_ids:
        trace = Trace(site, execution_id)
        trace.assert_completed_once()
        assert ledger.counts(execution_id) == {f"n{number:02}": 1 for number in range(4)}
        assert trace.interruptions == 0
        assert (trace.recoveries, trace.execution["failureCount"]) == ([], 0)
