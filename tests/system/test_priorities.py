"""The backlog is taken by priority, then age, whatever process takes it."""

from __future__ import annotations

import random

import psycopg2

from tests.system.stack import Stack

FLOW = {
    "metadata": {"name": "Greeting"},
    "nodes": [{"id": "who", "type": "TextNode", "values": {"text": "Ada"}}],
    "edges": [],
}
#: Nothing is taken more places ahead than there are others that take something just then.
PROCESSES = 2


def test_two_workers_take_a_backlog_by_priority_then_age(bare_stack: Stack) -> None:
    flow_id = bare_stack.store(FLOW)
    priorities = [priority for priority in range(10) for _ in range(4)]
    random.shuffle(priorities)
    # The message that is sent with the first names an execution whose turn comes last.
    created = [
        (priority, bare_stack.run(flow_id, options={"priority": priority}))
        for priority in [0, *priorities]
    ]
    wanted = [id_ for _, id_ in sorted(created, key=lambda each: -each[0])]

    workers = [bare_stack.start_worker(concurrency=1, wait=False) for _ in range(PROCESSES)]
    for worker in workers:
        bare_stack.await_worker(worker)
    for _, execution_id in created:
        bare_stack.await_status(execution_id, "completed")

    connection = psycopg2.connect(bare_stack.database_url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM chaingraph_executions ORDER BY processing_started_at")
        taken = [row[0] for row in cursor.fetchall()]
    connection.close()
    assert sorted(taken) == sorted(wanted)
    for place, execution_id in enumerate(taken):
        assert wanted.index(execution_id) - place < PROCESSES, f"at place {place}: {taken}"
