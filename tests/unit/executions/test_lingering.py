"""What a process claims that lingers after a run, of what is offered to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.caller import Caller
from app.store.flows import FlowStore
from tests.unit.executions.test_corpus_steps import LEASE_MS, Workers

FLOW_ID = "V2one"
DOCUMENT = {
    "id": FLOW_ID,
    "metadata": {"name": "One"},
    "nodes": [{"id": "a", "type": "DebugLogNode"}],
    "edges": [],
}


@pytest.fixture
def workers() -> Workers:
    made = Workers()
    FlowStore(made.world.database).store(FLOW_ID, Caller("local"), "One", json.dumps(DOCUMENT))
    return made


def linger_for(workers: Workers, offers: Iterator[str]) -> None:
    """Have a process that lingers be offered these; then nothing."""
    workers.around = replace(workers.around, linger=lambda: next(offers, None))


def taken_by_another(workers: Workers) -> str:
    """An execution that is claimed elsewhere by now."""
    execution_id = workers.world.create(flow_id=FLOW_ID)
    assert workers.world.open().claim("w2", "another", LEASE_MS, execution_id)
    return execution_id


def test_what_is_offered_is_claimed(workers: Workers) -> None:
    workers.world.create(flow_id=FLOW_ID)
    linger_for(workers, (workers.world.create(flow_id=FLOW_ID) for _ in range(3)))

    assert workers.executor.work() == 4


def test_who_is_offered_what_another_took_stays_for_what_else_comes(workers: Workers) -> None:
    def offers() -> Iterator[str]:
        yield taken_by_another(workers)
        yield workers.world.create(flow_id=FLOW_ID)

    workers.world.create(flow_id=FLOW_ID)
    linger_for(workers, offers())

    assert workers.executor.work() == 2


def test_who_is_offered_what_another_took_takes_what_is_left(workers: Workers) -> None:
    def offers() -> Iterator[str]:
        yield taken_by_another(workers)
        left.append(workers.world.create(flow_id=FLOW_ID))
        yield taken_by_another(workers)

    left: list[str] = []
    workers.world.create(flow_id=FLOW_ID)
    linger_for(workers, offers())

    assert workers.executor.work() == 2
    assert workers.world.row(left[0]).runnable_at is None


def test_lingering_ends_with_the_time_slice(workers: Workers) -> None:
    def offers() -> Iterator[str]:
        while True:
            workers.pass_time(0.4)
            yield taken_by_another(workers)

    workers.world.create(flow_id=FLOW_ID)
    linger_for(workers, offers())
    began = workers.clock()

    assert workers.executor.work() == 1
    assert 1 <= workers.clock() - began < 2


def test_who_is_told_to_end_lingers_no_more(workers: Workers) -> None:
    def offers() -> Iterator[str]:
        yield taken_by_another(workers)
        is_draining.append(True)
        yield taken_by_another(workers)
        raise AssertionError("it lingers on")

    is_draining: list[bool] = []
    workers.world.create(flow_id=FLOW_ID)
    linger_for(workers, offers())
    workers.around = replace(workers.around, is_draining=lambda: bool(is_draining))

    assert workers.executor.work() == 1
