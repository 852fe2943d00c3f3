"""A node with a queue of its own: taken by the consumers of that queue alone, and outliving them."""

from __future__ import annotations

from tests.system.ledger import Ledger
from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import Trace, owner_of
from tests.waiting import wait_until


def test_a_node_waits_for_a_worker_of_its_queue_and_goes_on_at_another(
    site: Stack, ledger: Ledger, make_crew: MakeCrew
) -> None:
    ledger.hold("n01")
    document = ledger.chain(3)
    document["nodes"][1]["queue"] = "gpu"
    default = make_crew(pool="threads", concurrency=1)
    default.muster(1)
    execution_id = site.run(site.store(document))

    def waits_for_its_queue() -> bool:
        waiting = site.execution(execution_id)["waiting"]
        wanted = {"nodeId": "n01", "queue": "gpu"}
        return bool(waiting and waiting["for"] == "worker" and waiting["detail"] == wanted)

    wait_until(waits_for_its_queue, "it waits for a worker of its queue")
    assert owner_of(site, execution_id) is None
    assert ledger.counts(execution_id) == {"n00": 1}

    gpu = make_crew(pool="threads", concurrency=1, queues="gpu")
    gpu.muster(2)
    ledger.await_effect(execution_id, "n01")
    wanted = {each.name: ["gpu"] for each in gpu.workers} | {
        each.name: ["default"] for each in default.workers
    }
    # The dead of the test before are forgotten by a sweep.
    wait_until(lambda: queues_of_workers(site) == wanted, "all are listed with their queues")
    owner = gpu.owner(execution_id)
    owner.kill()
    ledger.let_go()
    site.await_status(execution_id)

    trace = Trace(site, execution_id)
    trace.assert_completed_once()
    assert trace.attempts() == {"n00": [1], "n01": [1, 2], "n02": [1]}
    assert [(reason, lost) for reason, lost, _ in trace.recoveries] == [("worker_died", owner.name)]
    assert ledger.counts(execution_id) == {"n00": 1, "n01": 2, "n02": 1}


def queues_of_workers(site: Stack) -> dict[str, list[str]]:
    return {each["workerId"]: each["queues"] for each in site.workers()}
