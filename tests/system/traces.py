"""What an execution left behind, and what must hold of it whatever happened to its workers."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import psycopg2

from tests.system.stack import Stack

TERMINAL = ("execution:completed", "execution:failed", "execution:stopped")


class Trace:
    """An execution with its events as REST gives them and its rows as PostgreSQL holds them."""

    def __init__(self, stack: Stack, execution_id: str) -> None:
        self.id = execution_id
        self.execution = stack.execution(execution_id)
        self.events = read_events(stack, execution_id)
        self.nodes = self._nodes(stack)
        self.recoveries = ask(
            stack.database_url,
            "SELECT recovery_reason, previous_worker_id, recovered_by_worker"
            " FROM chaingraph_execution_recovery WHERE execution_id = %s ORDER BY id",
            execution_id,
        )

    def _nodes(self, stack: Stack) -> dict[str, dict[str, Any]]:
        answer = stack.http.get(f"/api/v1/executions/{self.id}/nodes")
        answer.raise_for_status()
        return {node["id"]: node for node in answer.json()["items"]}

    def of_type(self, event_type: str) -> list[dict[str, Any]]:
        """The events of a type, in order."""
        return [event for event in self.events if event["type"] == event_type]

    def attempts(self) -> dict[str, list[int]]:
        """The attempts of each node, in the order in which they started."""
        found: dict[str, list[int]] = {}
        for event in self.of_type("node:started"):
            found.setdefault(event["data"]["nodeId"], []).append(event["data"]["attempt"])
        return found

    @property
    def interruptions(self) -> int:
        """How many starts of nodes came to nothing."""
        return sum(len(attempts) - 1 for attempts in self.attempts().values())

    def started_at(self, node_id: str, attempt: int) -> float:
        """When an attempt of a node started, in seconds since the epoch."""
        [at] = [
            event["timestamp"]
            for event in self.of_type("node:started")
            if event["data"]["nodeId"] == node_id and event["data"]["attempt"] == attempt
        ]
        return datetime.fromisoformat(at).timestamp()

    def assert_whole(self, status: str = "completed") -> None:
        """Hold it against what is true of every execution that ended."""
        assert self.execution["status"] == status, self.execution["errorMessage"]
        indexes = [event["index"] for event in self.events]
        assert indexes == list(range(-1, len(indexes) - 1))
        assert indexes[-1] == self.execution["lastEventIndex"]
        types = [event["type"] for event in self.events]
        assert [name for name in types if name in TERMINAL] == [f"execution:{status}"]
        assert types[-1] == f"execution:{status}"
        for attempts in self.attempts().values():
            assert attempts == list(range(1, len(attempts) + 1))

    def assert_completed_once(self) -> None:
        """Each node has one checkpoint, written by its last attempt."""
        self.assert_whole()
        told = Counter(event["data"]["nodeId"] for event in self.of_type("node:completed"))
        assert told == dict.fromkeys(self.nodes, 1)
        last = {node: attempts[-1] for node, attempts in self.attempts().items()}
        assert {name: node["attempt"] for name, node in self.nodes.items()} == last
        assert {node["status"] for node in self.nodes.values()} == {"completed"}


def read_events(stack: Stack, execution_id: str) -> list[dict[str, Any]]:
    """All events of an execution, page after page."""
    events: list[dict[str, Any]] = []
    from_index = -1
    while True:
        answer = stack.http.get(
            f"/api/v1/executions/{execution_id}/events",
            params={"fromIndex": from_index, "limit": 1000},
        )
        answer.raise_for_status()
        page = answer.json()
        events += page["events"]
        if page["nextIndex"] == from_index or page["end"]:
            return events
        from_index = page["nextIndex"]


def ask(database_url: str, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    """Ask PostgreSQL, beside the stack."""
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, arguments)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def owner_of(stack: Stack, execution_id: str) -> tuple[str, int] | None:
    """The process (its name and pid) that runs the execution now, or a sent node of it."""
    rows = ask(
        stack.database_url,
        "SELECT w.worker_id, w.pid FROM chaingraph_execution_claims AS c"
        " JOIN chaingraph_workers AS w USING (worker_id)"
        " WHERE c.execution_id = %s AND c.status = 'active' ORDER BY c.node_id DESC LIMIT 1",
        execution_id,
    )
    return (rows[0][0], rows[0][1]) if rows else None
