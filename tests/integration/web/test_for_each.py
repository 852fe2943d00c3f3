"""A flow for each item in local mode, where the process of the API runs it, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.config import load_settings
from tests.integration.web.conftest import flow_of
from tests.waiting import wait_until
from web import create_app
from web.composition import end

EXECUTIONS = "/api/v1/executions"
ITEMS = 30


def each_of(flow_id: str) -> dict[str, Any]:
    values = {
        "flowId": flow_id,
        "items": list(range(ITEMS)),
        "itemTarget": "half.a",
        "concurrency": 4,
    }
    return flow_of({"id": "each", "type": "ForEachNode", "values": values})


def test_each_item_runs_in_a_child(tmp_path: Path) -> None:
    environ = {"EXECUTION_MODE": "local", "DATA_DIR": str(tmp_path), "MAX_CHILDREN_PER_PARENT": "1"}
    app = create_app(load_settings(environ))
    client = app.test_client()
    half = {"id": "half", "type": "MathNode", "values": {"b": 2, "operation": "divide"}}

    def store(document: dict[str, Any]) -> str:
        return str(client.post("/api/v1/flows", json=document).get_json()["id"])

    try:
        body = {"flowId": store(each_of(store(flow_of(half)))), "autostart": True}
        path = f"{EXECUTIONS}/{client.post(EXECUTIONS, json=body).get_json()['id']}"
        wait_until(lambda: client.get(path).get_json()["completedAt"], "it has ended")
        shown = client.get(path).get_json()
        tree = client.get(f"{path}/tree").get_json()["items"]
    finally:
        end(app)

    assert (shown["status"], shown["errorMessage"]) == ("completed", None)
    results = [each["half"]["result"] for each in shown["outputs"]["each"]["results"]]
    assert results == [number / 2 for number in range(ITEMS)]
    assert len(tree) == ITEMS + 1
