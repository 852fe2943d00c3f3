"""Asks REST and PostgreSQL for everything, once all is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.chaos.evidence import Quiet, Row, Story
from tests.system.stack import Stack
from tests.system.traces import ask, read_events

#: Calls at a time.
READERS = 4

ROWS = """
    SELECT id, flow_id, status, parent_execution_id, root_execution_id, parent_node_id,
        extract(epoch FROM created_at)::float, extract(epoch FROM completed_at)::float
    FROM chaingraph_executions
"""
LOG = """
    SELECT execution_id, index, type, data FROM chaingraph_execution_events
    ORDER BY execution_id, index
"""
RECOVERIES = "SELECT execution_id, recovery_reason FROM chaingraph_execution_recovery ORDER BY id"
FINALS = """
    SELECT id, status, epoch, last_event_index, completed_at
    FROM chaingraph_executions WHERE completed_at IS NOT NULL
"""
CHECKPOINTS = """
    SELECT execution_id, node_id, seq, attempt, md5(outputs::text), completed_at
    FROM chaingraph_checkpoints WHERE status = 'completed'
"""
#: Names the kinds of what still waits for its client or runs; the held ones are no part of it.
UNFINISHED = """
    SELECT count(*) FROM chaingraph_executions WHERE completed_at IS NULL AND NOT id = ANY (%s)
"""
CLAIMS = "SELECT count(*) FROM chaingraph_execution_claims WHERE status = 'active'"
SLOTS = """
    SELECT count(*) FROM chaingraph_slots AS s
    JOIN chaingraph_execution_claims AS c
        ON c.execution_id = s.execution_id AND c.node_id = '' AND c.epoch = s.epoch
    WHERE c.status = 'active'
"""
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"


def stories(stack: Stack, url: str) -> dict[str, Story]:
    """Every execution that there is. `url` leads to PostgreSQL itself."""
    rows = [Row(*row) for row in ask(url, ROWS)]
    logs = _grouped(ask(url, LOG))
    recoveries = _grouped(ask(url, RECOVERIES))

    def read(row: Row) -> Story:
        return Story(
            row,
            stack.execution(row.id),
            read_events(stack, row.id),
            _nodes(stack, row.id),
            [(each[0], each[1], each[2]) for each in logs.get(row.id, ())],
            [each[0] for each in recoveries.get(row.id, ())],
        )

    with ThreadPoolExecutor(READERS) as pool:
        return {story.id: story for story in pool.map(read, rows)}


def finals(url: str) -> dict[str, tuple[object, ...]]:
    """Final rows as they stand."""
    return {row[0]: tuple(row[1:]) for row in ask(url, FINALS)}


def checkpoints(url: str) -> dict[tuple[str, str], tuple[object, ...]]:
    """Checkpoints of completed nodes as they stand."""
    return {(row[0], row[1]): tuple(row[2:]) for row in ask(url, CHECKPOINTS)}


def unfinished(url: str, but: Sequence[str]) -> int:
    """How many executions have not ended, beside some."""
    [(count,)] = ask(url, UNFINISHED, list(but))
    return int(count)


def claims(url: str) -> int:
    """How many claims are active."""
    [(count,)] = ask(url, CLAIMS)
    return int(count)


def quiet(stack: Stack, url: str, waiting: int) -> Quiet:
    """What is held now, while so many wait."""
    [(slots,)] = ask(url, SLOTS)
    [(connections,)] = ask(url, CONNECTIONS)
    active = sum(len(each["active"]) for each in stack.workers())
    return Quiet(waiting, claims(url), int(slots), active, int(connections))


def _nodes(stack: Stack, execution_id: str) -> dict[str, dict[str, Any]]:
    answer = stack.http.get(f"/api/v1/executions/{execution_id}/nodes")
    answer.raise_for_status()
    return {node["id"]: node for node in answer.json()["items"]}


def _grouped(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for key, *rest in rows:
        found.setdefault(key, []).append(tuple(rest))
    return found
