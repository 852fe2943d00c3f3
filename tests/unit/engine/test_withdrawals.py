"""Starts that were not granted are taken back: as if they had never been decided."""

from __future__ import annotations

import pytest

from app.engine import Engine, NodeFailure, RunOptions, Start
from tests.unit.engine.driving import RETRY_AT
from tests.unit.engine.graphs import engine_of


def all_starts(engine: Engine) -> list[Start]:
    starts = []
    while (start := engine.start_next()) is not None:
        starts.append(start)
    return starts


def take_back(engine: Engine, starts: list[Start]) -> None:
    for start in reversed(starts):
        engine.withdraw(start)


def told(engine: Engine) -> list[tuple[str, str, str | None]]:
    return [
        (str(event.type), event.data["nodeId"], event.data.get("oldStatus"))
        for event in engine.take_events()
        if "nodeId" in event.data
    ]


@pytest.fixture
def engine() -> Engine:
    """Three nodes: the first is to be tried again, the second was cut off by a crash."""
    engine = engine_of(["a", "b", "c"], options=RunOptions(debug=True))
    engine.begin()
    for _ in "ab":
        engine.start_next()
    engine.defer(0, NodeFailure("E", "m"), 0, RETRY_AT)
    engine.retry(0)
    engine.interrupt(1)
    engine.take_events()
    return engine


def test_the_next_start_is_known_before(engine: Engine) -> None:
    assert engine.next_start() == 1
    assert [start.node.id for start in all_starts(engine)] == ["b", "a", "c"]
    assert engine.next_start() is None


def test_what_is_taken_back_is_decided_again_and_told_in_the_same_way(engine: Engine) -> None:
    granted = engine.granted
    first = all_starts(engine)
    events = told(engine)

    take_back(engine, first)

    assert (engine.running, engine.granted) == (set(), granted)
    assert engine.attempts == [1, 1, 0]
    assert all_starts(engine) == first
    assert told(engine) == events


def test_a_node_that_a_crash_cut_off_keeps_its_grant_until_it_starts(engine: Engine) -> None:
    assert engine.granted == {"b": 1}
    engine.start_next()
    assert engine.granted == {"b": 2}
