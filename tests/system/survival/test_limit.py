"""QUEUE_CONCURRENCY: a slot outlives nobody who had it."""

from __future__ import annotations

from tests.system.ledger import Ledger
from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.system.traces import Trace, ask
from tests.waiting import wait_until

#: How often anything was claimed while something else was: from claim to release, as noted.
ACTIVE = (
    "SELECT execution_id FROM chaingraph_execution_claims WHERE status = 'active'"
    " AND node_id = '' AND execution_id = ANY (%s)"
)


def test_the_slot_of_a_killed_worker_comes_back(
    site: Stack, ledger: Ledger, make_crew: MakeCrew
) -> None:
    crew = make_crew(concurrency=2, QUEUE_CONCURRENCY="1")
    crew.muster(1)
    ledger.hold("n01")
    flow_id = site.store(ledger.chain(2))
    executions = [site.run(flow_id) for _ in range(3)]

    def active() -> list[str]:
        return [row[0] for row in ask(site.database_url, ACTIVE, executions)]

    def has_its_effect() -> bool:
        owned = active()
        return len(owned) == 1 and ledger.count(owned[0], "n01") > 0

    wait_until(has_its_effect, "one of them runs")
    [victim] = active()
    crew.kill_child(victim)
    wait_until(lambda: effects_of(ledger, executions) == 2, "one of them runs in its place")
    assert len(active()) == 1
    ledger.let_go()
    seen: set[int] = set()

    def all_are_completed() -> bool:
        seen.add(len(active()))
        return all(site.execution(each)["status"] == "completed" for each in executions)

    wait_until(all_are_completed, "all have had their turn", 60)
    assert seen <= {0, 1}
    assert Trace(site, victim).execution["failureCount"] == 1
    assert active() == []


def effects_of(ledger: Ledger, execution_ids: list[str]) -> int:
    """How many effects their second nodes have had."""
    return sum(ledger.count(each, "n01") for each in execution_ids)
