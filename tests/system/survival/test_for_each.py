"""A flow for each of many items, while a worker is killed: each item once, in order."""

from __future__ import annotations

from typing import Any

from tests.system.stack import Stack
from tests.system.survival.conftest import MakeCrew
from tests.waiting import wait_until

ITEMS = 60
CONCURRENCY = 20


def settled(site: Stack, execution_id: str) -> int:
    """How many of its items have ended."""
    answer = site.http.get(
        f"/api/v1/executions/{execution_id}/events",
        params={"eventTypes": "child:completed", "limit": 1000},
    )
    return len(answer.json()["events"])


def await_settled(site: Stack, execution_id: str, count: int) -> None:
    wait_until(lambda: settled(site, execution_id) >= count, f"{count} items have ended", 30)


def each_of(items: int, flow_id: str) -> dict[str, Any]:
    values = {
        "flowId": flow_id,
        "items": list(range(items)),
        "itemTarget": "number.num",
        "concurrency": CONCURRENCY,
    }
    node = {"id": "each", "type": "ForEachNode", "values": values}
    return {"metadata": {"name": "each"}, "nodes": [node], "edges": []}


def test_each_item_runs_once_whoever_is_killed(site: Stack, make_crew: MakeCrew) -> None:
    crew = make_crew()
    crew.muster(2)
    number = {"id": "number", "type": "NumberNode"}
    flow = {"metadata": {"name": "one"}, "nodes": [number], "edges": []}
    execution_id = site.run(site.store(each_of(ITEMS, site.store(flow))))
    await_settled(site, execution_id, ITEMS // 3)
    crew.workers[0].kill_all()

    shown = site.await_status(execution_id, within_s=60)

    assert shown["status"] == "completed"
    assert shown["outputs"]["each"] == {
        "results": [{"number": {"num": place}} for place in range(ITEMS)],
        "failed": 0,
        "errors": [],
    }
    tree = site.http.get(f"/api/v1/executions/{execution_id}/tree").json()["items"]
    assert len(tree) == ITEMS + 1
    assert settled(site, execution_id) == ITEMS
