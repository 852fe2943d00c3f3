"""The queries of docs/operations.md do on a real database what the document says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.executions.process import Process, chain, execution_of, node
from tests.world import TABLES, PgWorld

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"

#: The paragraph above a query, and the query.
BLOCK = re.compile(r"(?:\A|\n\n)([^\n]+)(?:\n[^\n]+)*\n\n```sql\n(.*?)```", re.DOTALL)

QUERIES = {match[1].strip("*"): match[2] for match in BLOCK.finditer(DOCUMENT.read_text())}

LEASE_MS = 10_000


@pytest.fixture
def world(database_url: str) -> Iterator[PgWorld]:
    """A database in which executions wait, run and have ended."""
    world = PgWorld(database_url)
    yield world
    world.close()


@pytest.fixture
def process(world: PgWorld) -> Iterator[Process]:
    process = Process(world)
    yield process
    process.end()


def ask(world: PgWorld, beginning: str, execution: str = "") -> list[dict[str, Any]]:
    """Run the query whose question begins so, with psql's variable put in."""
    [statement] = [each for question, each in QUERIES.items() if question.startswith(beginning)]
    return run(world, statement, execution)


def run(world: PgWorld, statement: str, execution: str) -> list[dict[str, Any]]:
    escaped = statement.replace("%", "%%")
    arguments = [execution] * escaped.count(":'execution'")
    rows = world.execute(escaped.replace(":'execution'", "%s"), *arguments)
    return [vars(row) for row in rows]


def ended(world: PgWorld, process: Process) -> str:
    execution_id = execution_of(world, chain(node("a"), node("b")))
    process.run(execution_id)
    return execution_id


def test_every_query_of_the_document_is_found() -> None:
    assert len(QUERIES) == DOCUMENT.read_text().count("```sql") >= 15


@pytest.mark.parametrize("question", QUERIES)
def test_a_query_runs(world: PgWorld, process: Process, question: str) -> None:
    run(world, QUERIES[question], ended(world, process))


def test_what_runs_is_shown_with_its_process(world: PgWorld) -> None:
    execution_id = world.create()
    world.open().claim("w1", "token", LEASE_MS, execution_id)
    [row] = ask(world, "What runs")
    assert (row["id"], row["worker_id"]) == (execution_id, "w1")


def test_what_waits_is_shown_with_the_reason(world: PgWorld) -> None:
    world.create(start=False)
    world.create(priority=7)
    world.create(priority=7)
    waits = {row["waits_for"]: row["count"] for row in ask(world, "What waits")}
    assert waits == {"worker": 2, "start-signal": 1}
    [backlog] = ask(world, "How long is the backlog")
    assert (backlog["priority"], backlog["count"]) == (7, 2)


def test_workers_are_shown_with_what_they_hold(world: PgWorld, process: Process) -> None:
    keeper = process.keeper(list)
    keeper.renew()
    execution_id = world.create()
    world.open().claim(process.worker_id, "token", LEASE_MS, execution_id)
    [worker] = ask(world, "Which workers are alive")
    assert (worker["worker_id"], worker["executions"]) == (process.worker_id, [execution_id])


def test_what_is_lost_is_shown_until_it_is_taken_over(world: PgWorld) -> None:
    execution_id = world.create()
    world.open().claim("w1", "token", -1, execution_id)
    [lost] = ask(world, "Is anything lost")
    assert lost["execution_id"] == execution_id
    world.take_over(execution_id)
    assert not ask(world, "Is anything lost")


def test_an_execution_is_told_event_by_event_and_node_by_node(
    world: PgWorld, process: Process
) -> None:
    execution_id = ended(world, process)
    log = ask(world, "The log of one execution", execution_id)
    assert [row["index"] for row in log] == list(range(-1, len(log) - 1))
    assert log[-1]["type"] == "execution:completed"
    nodes = ask(world, "Its nodes", execution_id)
    assert [row["node_id"] for row in nodes] == ["a", "b"]


def test_deleting_leaves_nothing_of_what_is_old_and_all_of_the_rest(
    world: PgWorld, process: Process
) -> None:
    old, young = ended(world, process), ended(world, process)
    world.execute(
        "UPDATE chaingraph_executions SET completed_at = completed_at - interval '31 days'"
        " WHERE id = %s",
        old,
    )
    assert ask(world, "Deleting what is old") == [{"executions": 1}]
    assert ask(world, "Deleting what is old") == [{"executions": 0}]
    assert world.events(young)
    for table in set(TABLES) & tables_of_executions(world):
        assert not world.one(f"SELECT count(*) FROM {table} WHERE execution_id = %s", old)


def test_what_is_old_is_left_where_its_tree_still_runs(world: PgWorld, process: Process) -> None:
    old, root = ended(world, process), world.create()
    world.execute(
        "UPDATE chaingraph_executions SET root_execution_id = %s,"
        " completed_at = completed_at - interval '40 days' WHERE id = %s",
        root,
        old,
    )
    assert ask(world, "Deleting what is old") == [{"executions": 0}]
    world.execute("DELETE FROM chaingraph_executions WHERE id = %s", root)
    assert ask(world, "Deleting what is old") == [{"executions": 1}]


def tables_of_executions(world: PgWorld) -> set[str]:
    rows = world.execute(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'execution_id'"
    )
    return {row.table_name for row in rows}
