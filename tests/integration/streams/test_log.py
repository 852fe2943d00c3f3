from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from app.errors import StoreUnavailable
from app.events.log import Head
from app.store.database import Database
from app.store.events import EventLog
from tests.integration.streams.conftest import History, LocalHistory
from tests.integration.streams.test_relay import DONE, ENDED, STARTED


@pytest.fixture
def log(history: History | LocalHistory, request: pytest.FixtureRequest) -> Iterator[EventLog]:
    if isinstance(history, LocalHistory):
        yield EventLog(history.database)
        return
    database = Database(request.getfixturevalue("database_url"))
    yield EventLog(database)
    database.engine.dispose()


def indexes(log: EventLog, *args: object, **options: object) -> list[int]:
    return [event.index for event in log.read("EX1", *args, **options)]  # type: ignore[arg-type]


def test_events_are_read_in_order_within_their_bounds(log: EventLog, history: History) -> None:
    history.create()
    history.commit("EX1", STARTED, DONE, STARTED, ENDED)
    assert indexes(log, -1, 100) == [-1, 0, 1, 2, 3]
    assert indexes(log, 1, 2) == [1, 2]
    assert indexes(log, 0, 100, up_to=1) == [0, 1]
    assert indexes(log, -1, 100, ["node:started", "node:failed"]) == [0, 2]
    assert indexes(log, -1, 1, ["node:started"]) == [0]
    assert indexes(log, 1, 100, ["node:started"], up_to=1) == []
    assert indexes(log, 4, 100) == []


def test_an_event_is_given_in_its_wire_form(log: EventLog, history: History) -> None:
    history.create()
    _, [line] = history.commit("EX1", DONE)
    [_, event] = log.read("EX1", -1, 2)
    assert event.envelope == line
    assert event.type == json.loads(line)["type"] == "node:completed"


def test_heads_tell_how_far_logs_reach(log: EventLog, history: History) -> None:
    history.create()
    history.create("EX2")
    history.commit("EX2", STARTED, ENDED)
    assert log.heads(["EX1", "EX2", "EX3"]) == {
        "EX1": Head(-1, "running", "local"),
        "EX2": Head(1, "completed", "local"),
    }
    assert log.head("EX3") is None
    assert not Head(-1, "running", "local").is_final
    assert Head(1, "completed", "local").is_final


def test_a_connection_that_was_lost_is_replaced_unnoticed(
    log: EventLog, history: History, database_url: str
) -> None:
    history.create()
    assert log.head("EX1")
    history.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert log.head("EX1")


def test_a_server_that_is_not_there_is_said_so() -> None:
    with pytest.raises(StoreUnavailable):
        EventLog(Database("postgresql://nobody@127.0.0.1:1/none")).head("EX1")
