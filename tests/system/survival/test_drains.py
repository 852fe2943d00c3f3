"""Workers that are told to end: they hand over, in time, and nobody is to blame."""

from __future__ import annotations

import itertools
import signal
from datetime import datetime

import pytest

from tests.system.ledger import Ledger
from tests.system.servers import ScratchValkey
from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import Trace
from tests.waiting import wait_until

#: One effect takes longer than a drain may.
DRAINS_WITHIN_MS = 500
LONG_S = 15.0

#: So many effects in a row outlast the start of two workers.
NODES = 16
#: What is borne here of a delay (s) from one event of an execution to the next, beside the effect
#: itself. On a machine that has nothing else to do it is less than a second.
AT_MOST_S = 4.0


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
    ledger.effect_s = LONG_S
    crew = make_crew(
        pool=pool, STEP_DISPATCH=dispatch, WORKER_DRAIN_TIMEOUT_MS=str(DRAINS_WITHIN_MS)
    )
    crew.muster(2)
    execution_id = site.run(site.store(ledger.chain(2)))
    wait_until(lambda: ledger.count(execution_id, "n00") == 1, "the first effect is under way")
    [leaving] = [each for each in site.workers() if execution_id in each["active"]]
    worker = crew.worker_of(leaving["workerId"])

    ledger.effect_s = 0.0
    worker.signal(signal.SIGTERM)
    wait_until(lambda: status_of(site, worker.name) != "running", "it says that it drains")
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


def test_all_workers_are_replaced_one_by_one_and_nothing_is_lost_or_delayed(
    site: Stack, ledger: Ledger, make_crew: MakeCrew, record_property: pytest.RecordProperty
) -> None:
    crew = make_crew()
    crew.muster(2)
    leaving = list(crew.workers)
    flow_id = site.store(ledger.chain(NODES))
    execution_ids = [site.run(flow_id) for _ in range(4)]
    crew.muster(4)
    for worker in leaving:
        assert worker.terminate() == 0
    for execution_id in execution_ids:
        site.await_status(execution_id)

    gaps = []
    for execution_id in execution_ids:
        trace = Trace(site, execution_id)
        trace.assert_completed_once()
        assert ledger.counts(execution_id) == {f"n{number:02}": 1 for number in range(NODES)}
        assert trace.interruptions == 0
        assert (trace.recoveries, trace.execution["failureCount"]) == ([], 0)
        at = [datetime.fromisoformat(each["timestamp"]).timestamp() for each in trace.events]
        gaps.append(max(after - before for before, after in itertools.pairwise(at)))
    print("longest between two events (s):", *(f"{gap:.2f}" for gap in gaps))  # noqa: T201 — for the reader
    record_property("gaps_s", gaps)
    assert max(gaps) <= ledger.effect_s + AT_MOST_S
