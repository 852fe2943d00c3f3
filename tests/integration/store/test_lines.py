"""A worker's own connection: what it takes, and what becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from app.errors import StoreUnavailable
from app.store.database import Database
from app.store.session import Session, Statement
from tests.waiting import wait_until

ECHO = Statement(
    "echo",
    "text, int, bigint, boolean, timestamptz, text[], int[], timestamptz[]",
    "SELECT $1, $2, $3, $4, $5, $6, $7, $8",
)
SLEEP = Statement("sleep", "int", "SELECT 1 FROM pg_sleep($1)")
SLEEPERS = Statement(
    "sleepers", "int", "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"
)
NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, UTC)


@pytest.fixture
def database(database_url: str) -> Database:
    return Database(database_url)


@pytest.fixture
def line(database: Database) -> Iterator[Session]:
    session = database.open()
    yield session
    session.close()


@pytest.mark.parametrize(
    "row",
    [
        ("", 0, 2**40, True, NOON, [], [], []),
        ("ä\n'\"\\", -1, -1, False, NOON, ['{"a,b\\"}', "NULL", "", "ü"], [1, -2], [NOON, NOON]),
        (None, None, None, None, None, None, None, None),
        ("x", 1, 1, True, NOON, [None, "a"], [None, 1], [None, NOON]),
    ],
)
def test_values_come_back_as_they_went(line: Session, row: tuple[object, ...]) -> None:
    assert line.execute(ECHO, *row) == [row]


def test_a_nul_is_refused_before_it_is_sent(line: Session) -> None:
    with pytest.raises(ValueError, match="NUL"):
        line.execute(ECHO, "a\0b", *[None] * 7)
    assert not line.lost


def test_a_fault_in_a_statement_is_said_and_the_line_stays(line: Session) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        line.execute(Statement("fault", "int", "SELECT 1 / $1"), 0)
    assert line.execute(SLEEP, 0) == [(1,)]


def test_closing_cuts_a_thread_that_waits_for_an_answer(database: Database, line: Session) -> None:
    waiting = database.open()
    failures: list[StoreUnavailable] = []

    def wait() -> None:
        try:
            waiting.execute(SLEEP, 600)
        except StoreUnavailable as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    backend = waiting.backend_pid
    wait_until(lambda: line.execute(SLEEPERS, backend), "it waits")
    waiting.close()
    thread.join(60)
    assert not thread.is_alive()
    assert len(failures) == 1
    assert waiting.lost


def test_a_closed_line_is_a_lost_one(line: Session) -> None:
    line.close()
    assert line.lost
    with pytest.raises(StoreUnavailable):
        line.execute(SLEEP, 0)
