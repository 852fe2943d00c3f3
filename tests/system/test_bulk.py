"""Commands to many executions outlive the process that took them."""

from __future__ import annotations

import threading

import httpx
import psycopg2

from tests.system.stack import WEB, Stack
from tests.waiting import wait_until

FLOW = {
    "metadata": {"name": "Greeting"},
    "nodes": [{"id": "who", "type": "TextNode", "values": {"text": "Ada"}}],
    "edges": [],
}
COUNT = 200


def test_a_bulk_stop_whose_api_is_killed_is_finished_by_a_worker(bare_stack: Stack) -> None:
    flow_id = bare_stack.store(FLOW)
    batch = {"items": [{"flowId": flow_id}] * COUNT}
    created = bare_stack.http.post("/api/v1/executions/batch", json=batch).json()["items"]
    [web] = [process for process in bare_stack.processes if process.name == WEB]
    connection = psycopg2.connect(bare_stack.database_url)
    connection.autocommit = True

    def stopped() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM chaingraph_executions WHERE status = 'stopped'")
            return int(cursor.fetchall()[0][0])

    def command() -> None:
        body = {"action": "stop", "filter": {"flowId": flow_id}}
        try:
            httpx.post(f"{bare_stack.url}/api/v1/executions/bulk", json=body, timeout=30)
        except httpx.TransportError as error:
            cut_off.append(error)

    cut_off: list[httpx.TransportError] = []
    caller = threading.Thread(target=command)
    # The call gets half way, and no further.
    with psycopg2.connect(bare_stack.database_url) as obstacle, obstacle.cursor() as cursor:
        lock = "SELECT id FROM chaingraph_executions WHERE id = %s FOR UPDATE"
        cursor.execute(lock, (created[COUNT // 2]["id"],))
        caller.start()
        wait_until(lambda: stopped() > 0, "the first are stopped")
        web.kill_all()
        caller.join()
    obstacle.close()
    assert cut_off
    assert 0 < stopped() < COUNT

    bare_stack.start_worker(pool="threads", wait=False)
    wait_until(lambda: stopped() == COUNT, "all are stopped", 60)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM chaingraph_bulk_commands")
        assert cursor.fetchall() == [(0,)]
    connection.close()
