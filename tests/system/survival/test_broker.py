"""Messages are hints: dropped or doubled they change no result, and they are few."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from app.supervisor.guardian import Guardian
from tests.system.crew import Crew
from tests.system.ledger import Ledger
from tests.system.servers import ScratchValkey
from tests.system.stack import Stack, run_stack
from tests.system.survival.conftest import ENVIRON, MakeCrew
from tests.system.traces import Trace
from tests.waiting import wait_until

QUEUE = "cg:celery:default"


@pytest.fixture
def redis(site_valkey: ScratchValkey) -> Iterator[Redis]:
    with Redis.from_url(site_valkey.url, protocol=2) as client:
        yield client


@pytest.fixture
def new_stack(
    database_url: str,
    site_valkey: ScratchValkey,
    redis: Redis,
    tmp_path: Path,
    guardian: Guardian,
) -> Iterator[Stack]:
    """An API that has not counted any slots yet, and an empty queue.

    What was sent to the workers of the test before lies there still, when they were killed.
    """
    redis.delete(QUEUE)
    with run_stack(
        database_url, site_valkey.url, tmp_path, guardian, workers=0, environ=ENVIRON
    ) as stack:
        yield stack


@contextmanager
def nobody_listening(crew: Crew) -> Iterator[None]:
    """Hold the workers still, for less than a lease."""
    for worker in crew.workers:
        worker.freeze()
    try:
        yield
    finally:
        for worker in crew.workers:
            worker.thaw()


def assert_each_ran_once(site: Stack, ledger: Ledger, execution_ids: list[str]) -> None:
    for execution_id in execution_ids:
        site.await_status(execution_id, "completed")
        trace = Trace(site, execution_id)
        trace.assert_completed_once()
        assert not trace.interruptions
        assert not trace.recoveries
        assert set(ledger.counts(execution_id).values()) == {1}


@pytest.mark.parametrize("dispatch", ["message", pytest.param("inline", marks=pytest.mark.soak)])
def test_dropped_and_doubled_messages_change_no_result(
    site: Stack, ledger: Ledger, make_crew: MakeCrew, redis: Redis, dispatch: str
) -> None:
    crew = make_crew(concurrency=4, STEP_DISPATCH=dispatch)
    crew.muster(1)
    ledger.effect_s = 0.02
    flow_id = site.store(ledger.chain(2))

    with nobody_listening(crew):
        dropped = [site.run(flow_id) for _ in range(8)]
        assert redis.delete(QUEUE)
    assert_each_ran_once(site, ledger, dropped)

    with nobody_listening(crew):
        doubled = [site.run(flow_id) for _ in range(8)]
        messages = redis.lrange(QUEUE, 0, -1)
        assert messages
        redis.rpush(QUEUE, *messages, *messages)
    assert_each_ran_once(site, ledger, doubled)


def test_a_long_backlog_needs_no_more_messages_than_there_are_slots(
    new_stack: Stack, ledger: Ledger, redis: Redis
) -> None:
    slots = 2
    worker = new_stack.start_worker(concurrency=slots)
    wait_until(lambda: registered(new_stack) == {worker.name}, "the dead are forgotten")
    ledger.effect_s = 0.0
    flow_id = new_stack.store(ledger.chain(1))
    # Each slot is taken while they come, so that messages lie there.
    ledger.hold()
    with lengths_of_queue(redis) as lengths:
        one_by_one = [new_stack.run(flow_id) for _ in range(100)]
        body = {"items": [{"flowId": flow_id, "autostart": True}] * 100}
        answer = new_stack.http.post("/api/v1/executions/batch", json=body)
        execution_ids = one_by_one + [item["id"] for item in answer.json()["items"]]
        wait_until(lambda: lengths - {0}, "messages lie there")
        ledger.let_go()
        wait_until(lambda: all(map(ledger.counts, execution_ids)), "all have run")
    # Whoever sends looks at the length first: the API, the sweep, and a child for each slot, which
    # may look at the same time.
    assert 0 < max(lengths) <= slots * (2 + slots)
    assert_each_ran_once(new_stack, ledger, execution_ids)


def registered(stack: Stack) -> set[str]:
    """The workers whose slots count: dead ones too, until the sweep has found them."""
    return {each["workerId"] for each in stack.workers()}


@contextmanager
def lengths_of_queue(redis: Redis) -> Iterator[set[int]]:
    """All the lengths that the queue has during the block, as far as looking all the time tells."""
    lengths: set[int] = set()
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            lengths.add(int(redis.llen(QUEUE)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lengths
    finally:
        is_over.set()
        watcher.join()
