"""However large the tables become, and before anything is known of them, nothing scans them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import app.store
from app.store.database import Database
from app.store.deadline_statements import OVERDUE, UNSTARTED
from app.store.line import Line
from app.store.session import Statement
from app.store.sweep_statements import FIRE_TIMERS

#: Tables that are as small as the cluster, or have one row.
SMALL = {"chaingraph_workers", "chaingraph_beat", "chaingraph_slots", "pg_database"}
#: What the API asks once for a call that may match any execution there is.
ONCE_A_CALL = {"record_bulk"}


def statements() -> Iterator[Statement]:
    names = (f"app.store.{module.name}" for module in pkgutil.iter_modules(app.store.__path__))
    found = (vars(importlib.import_module(name)).values() for name in names)
    yield from {
        each.name: each for values in found for each in values if isinstance(each, Statement)
    }.values()


@pytest.fixture
def line(database_url: str) -> Iterator[Line]:
    session = Database(database_url).open()
    assert isinstance(session, Line)
    yield session
    session.close()


def plan(line: Line, statement: Statement) -> list[str]:
    """The lines of the statement's plan."""
    types = f"({statement.types})" if statement.types else ""
    nothing = ", ".join(["NULL"] * len(statement.type_names))
    name = f"shown_{statement.name}"
    line.execute(Statement(f"prepare_{name}", "", f"PREPARE {name} {types} AS {statement.sql}"))
    call = f"EXPLAIN EXECUTE {name}" + (f" ({nothing})" if nothing else "")
    return [row[0] for row in line.execute(Statement(f"explain_{name}", "", call))]


def scanned(line: Line, statement: Statement) -> set[str]:
    """The tables that the statement's plan reads from end to end."""
    return {
        text.split("Seq Scan on ")[1].split()[0]
        for text in plan(line, statement)
        if "Seq Scan on " in text
    } - SMALL


def test_what_is_due_is_found_without_reading_what_is_not(line: Line) -> None:
    """However many wait: an index that is read from end to end is no better than a table."""
    for statement in (FIRE_TIMERS, UNSTARTED, OVERDUE):
        scans = [text.strip() for text in plan(line, statement) if "(wake_at <" in text]
        assert scans, statement.name
        assert {text.split(":")[0] for text in scans} <= {"Index Cond", "Recheck Cond"}


def test_no_statement_scans_a_table_that_grows(line: Line) -> None:
    plans = {
        statement.name: scanned(line, statement)
        for statement in statements()
        if statement.name not in ONCE_A_CALL
    }
    assert len(plans) > 30
    assert {name: tables for name, tables in plans.items() if tables} == {}
