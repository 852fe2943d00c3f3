"""Nodes that don't yield when their time is up: the attempt is over, and nobody else pays."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.ledger import Ledger
from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import Trace
from tests.waiting import wait_until

#: The second attempt, which does nothing, has to be done in this time on a busy machine.
TIMEOUT_MS = 1500
#: The parent has to be quicker than the sweep, for which a frozen child's lease is over.
LEASES = {"WORKER_HEARTBEAT_INTERVAL_MS": "1000", "WORKER_CLAIM_TIMEOUT_MS": "20000"}


def flow(node_type: str, **more: Any) -> dict[str, Any]:
    stuck = {"id": "stuck", "type": node_type, "timeoutMs": TIMEOUT_MS, **more}
    return {"metadata": {"name": "Stuck"}, "nodes": [stuck], "edges": []}


@pytest.mark.parametrize("dispatch", ["inline", pytest.param("message", marks=pytest.mark.soak)])
def test_a_node_that_freezes_its_process_is_timed_out_and_the_process_replaced(
    site: Stack, ledger: Ledger, make_crew: MakeCrew, dispatch: str
) -> None:
    crew = make_crew(STEP_DISPATCH=dispatch, **LEASES)
    crew.muster(1)
    [worker] = crew.workers
    before = {child.pid for child in worker.children()}
    retried = site.run(site.store(flow("FreezeNode", retry={"maxAttempts": 2})))
    failing = site.run(site.store(flow("FreezeNode")))
    other = site.run(site.store(ledger.chain(2)))
    for execution_id in (retried, failing, other):
        site.await_status(execution_id)

    assert Trace(site, other).attempts() == {"n00": [1], "n01": [1]}
    trace = Trace(site, retried)
    trace.assert_whole()
    assert trace.execution["outputs"]["stuck"] == {"attempt": 2}
    [failed] = trace.of_type("node:failed")
    assert (failed["data"]["error"]["type"], failed["data"]["attempt"]) == ("NodeTimeout", 1)
    trace = Trace(site, failing)
    trace.assert_whole("failed")
    assert trace.execution["errorNodeId"] == "stuck"
    assert trace.execution["errorMessage"] == f"not done within {TIMEOUT_MS} ms"
    assert trace.attempts() == {"stuck": [1]}
    for execution_id in (retried, failing):
        shown = Trace(site, execution_id)
        assert (shown.recoveries, shown.execution["failureCount"]) == ([], 0)

    def are_replaced() -> bool:
        after = {child.pid for child in worker.children()}
        return len(after) == len(before) and not before & after

    wait_until(are_replaced, "both children are replaced")


def test_a_child_with_a_node_that_hears_nothing_is_replaced_between_nodes(
    site: Stack, ledger: Ledger, make_crew: MakeCrew
) -> None:
    crew = make_crew(concurrency=1)
    crew.muster(1)
    [worker] = crew.workers
    [before] = [child.pid for child in worker.children()]
    execution_id = site.run(site.store(flow("DeafNode", retry={"maxAttempts": 2})))
    site.await_status(execution_id)
    wait_until(
        lambda: before not in {child.pid for child in worker.children()}, "the child is replaced"
    )
    after = site.run(site.store(ledger.chain(1)))
    site.await_status(after)

    trace = Trace(site, execution_id)
    trace.assert_whole()
    assert trace.attempts() == {"stuck": [1, 2]}
    assert (trace.recoveries, trace.execution["failureCount"]) == ([], 0)
    assert worker.is_running
    assert Trace(site, after).attempts() == {"n00": [1]}
