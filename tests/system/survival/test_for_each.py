"""A flow for each of many items, while a worker is killed: each item once, in order."""

from __future__ import annotations

from typing import Any

from tests.system.ledger import Ledger
from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.waiting import wait_until

ITEMS = 60
CONCURRENCY = 20
#: Of the two workers, at a time.
SLOTS = 4


def settled(site: Stack, execution_id: str) -> int:
    """How many of its items have ended."""
    answer = site.http.get(
        f"/api/v1/executions/{execution_id}/events",
        params={"eventTypes": "child:completed", "limit": 1000},
    )
    return len(answer.json()["events"])


def each_of(items: int, flow_id: str) -> dict[str, Any]:
    values = {
        "flowId": flow_id,
        "items": list(range(items)),
        "itemTarget": "number.num",
        "concurrency": CONCURRENCY,
    }
    node = {"id": "each", "type": "ForEachNode", "values": values}
    return {"metadata": {"name": "each"}, "nodes": [node], "edges": []}


def one_item(ledger: Ledger) -> dict[str, Any]:
    """A number that is handed out as it came, and an effect."""
    flow = ledger.chain(1)
    flow["metadata"]["outputs"] = {"number": "number.num"}
    flow["nodes"].append({"id": "number", "type": "NumberNode"})
    return flow


def test_each_item_runs_once_whoever_is_killed(
    site: Stack, ledger: Ledger, make_crew: MakeCrew
) -> None:
    crew = make_crew()
    crew.muster(2)
    ledger.effect_s = 0.0
    before = ledger.total()
    ledger.hold_after(ITEMS // 3)
    execution_id = site.run(site.store(each_of(ITEMS, site.store(one_item(ledger)))))
    wait_until(lambda: ledger.total() - before == ITEMS // 3 + SLOTS, "each slot has an item")
    crew.workers[0].kill_all()
    ledger.let_go()

    shown = site.await_status(execution_id)

    assert shown["status"] == "completed"
    assert shown["outputs"]["each"] == {
        "results": [{"number": place} for place in range(ITEMS)],
        "failed": 0,
        "errors": [],
    }
    tree = site.http.get(f"/api/v1/executions/{execution_id}/tree").json()["items"]
    assert len(tree) == ITEMS + 1
    lost = [item["execution"] for item in tree if item["execution"]["failureCount"]]
    assert len(lost) == SLOTS // 2
    assert ledger.total() - before == ITEMS + SLOTS // 2
    assert settled(site, execution_id) == ITEMS
