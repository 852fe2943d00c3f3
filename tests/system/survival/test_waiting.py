"""Whoever waits holds nothing: a thousand executions without a start signal are only rows."""

from __future__ import annotations

import time

import pytest

from tests.system.ledger import Ledger
from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import ask

MANY = 1000

#: What is promised for a machine that has nothing else to do is 1 s.
AT_ONCE_S = 3.0


@pytest.mark.alone
def test_a_thousand_that_wait_for_their_start_hold_up_nobody(
    site: Stack, ledger: Ledger, make_crew: MakeCrew, record_property: pytest.RecordProperty
) -> None:
    make_crew(concurrency=2).muster(1)
    ledger.effect_s = 0.0
    flow_id = site.store(ledger.chain(2))
    answer = site.http.post(
        "/api/v1/executions/batch", json={"items": [{"flowId": flow_id}] * MANY}
    )
    assert answer.status_code == 201, answer.text
    waiting_ids = [item["id"] for item in answer.json()["items"]]
    assert len(set(waiting_ids)) == MANY

    began = time.monotonic()
    site.await_status(site.run(flow_id), "completed")
    took_s = time.monotonic() - began
    print(f"the next one took {took_s:.2f} s")  # noqa: T201 — for the reader
    record_property("took_s", took_s)
    assert took_s < AT_ONCE_S

    for execution_id in waiting_ids[:: MANY // 10]:
        execution = site.execution(execution_id)
        assert execution["status"] == "created"
        assert execution["waiting"]["for"] == "start-signal"
    assert not any(worker["active"] for worker in site.workers())
    statement = (
        "SELECT count(*) FROM chaingraph_executions"
        " WHERE flow_id = %s AND status = 'created' AND epoch = 0 AND runnable_at IS NULL"
    )
    assert ask(site.database_url, statement, flow_id) == [(MANY,)]

    late = waiting_ids[MANY // 2]
    assert site.http.post(f"/api/v1/executions/{late}/start").status_code == 202
    site.await_status(late, "completed")
