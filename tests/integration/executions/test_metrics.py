"""What runs count, on the real store."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import generate_latest

from app.executions.run import RunEnd
from app.metrics.groups import WorkerMetrics
from app.streams.counted import CountedPublisher
from tests.integration.executions.nodes import fail, node_that
from tests.integration.executions.process import (
    Process,
    chain,
    execution_of,
    flow,
    node,
    options,
)
from tests.reading_metrics import total, value
from tests.world import PgWorld


class Counting:
    """A process that counts."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.metrics = WorkerMetrics()

    def run(self, execution_id: str, *targets: Any, **more: Any) -> None:
        """Have an executor run it, as a worker does."""
        around = self.process.around(*targets, meter=self.metrics.runs, **more)
        assert self.process.executor(around).work() == 1

    def text(self) -> str:
        return generate_latest(self.metrics.registry).decode()


@pytest.fixture
def counting(process: Process) -> Counting:
    return Counting(process)


def test_a_run_is_counted(world: PgWorld, counting: Counting) -> None:
    document = flow(node("a"), node("b"), node("c", "Boom"))
    execution_id = execution_of(world, document)
    counting.run(execution_id, node_that(fail, "Boom"))
    assert world.row(execution_id).status == "failed"
    text = counting.text()
    assert value(text, "chaingraph_claims_total", kind="execution") == 1
    assert value(text, "chaingraph_run_duration_seconds_count", end="finished") == 1
    assert value(text, "chaingraph_slots_busy") == 0
    assert value(text, "chaingraph_executions_ended_total", status="failed") == 1
    ended = "chaingraph_node_duration_seconds_count"
    assert value(text, ended, type="TextNode", outcome="completed") == 2
    assert value(text, ended, type="Boom", outcome="failed") == 1
    checkpoints = world.one("SELECT count(*) FROM chaingraph_checkpoints")
    assert value(text, "chaingraph_checkpoints_total") == checkpoints
    assert (
        value(text, "chaingraph_boundary_duration_seconds_count") == counting.process.store.writes
    )


def test_a_timeout_and_a_sleep_are_told_apart(world: PgWorld, counting: Counting) -> None:
    document = flow(
        node("a", "Slow", timeoutMs=20),
        node("b", "SleepNode", values={"duration": 20}),
    )
    execution_id = execution_of(world, document, options=options(onNodeError="continue"))
    counting.run(execution_id, node_that(lambda ctx: ctx.sleep(1000), "Slow"))
    text = counting.text()
    ended = "chaingraph_node_duration_seconds_count"
    assert value(text, ended, type="Slow", outcome="timeout") == 1
    assert value(text, ended, type="SleepNode", outcome="waits") == 1
    assert value(text, "chaingraph_timer_lateness_seconds_count") == 1


def test_a_void_write_is_counted(world: PgWorld, counting: Counting) -> None:
    execution_id = execution_of(world, chain(node("a"), node("b")))
    around = counting.process.around(meter=counting.metrics.runs)
    run = counting.process.claim(around, execution_id)
    world.take_over(execution_id)
    assert run.drive() is RunEnd.LOST
    text = counting.text()
    assert value(text, "chaingraph_fenced_writes_total") == 1
    assert value(text, "chaingraph_checkpoints_total") == 0


def test_events_are_counted_as_they_go_out(world: PgWorld, counting: Counting) -> None:
    execution_id = execution_of(world, chain(node("a"), node("b")))
    publisher = CountedPublisher(_Taking(counting.process), counting.metrics.streams)
    counting.run(execution_id, publish=publisher.publish)
    told = len(counting.process.published_types())
    assert told == len(world.events(execution_id)) - 1
    assert value(counting.text(), "chaingraph_events_published_total", outcome="sent") == told
    assert total(counting.text(), "chaingraph_events_published_total") == told


class _Taking:
    """A publisher that takes everything."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def publish(self, execution_id: str, first_index: int, envelopes: Any) -> bool:
        self._process.publish(execution_id, first_index, envelopes)
        return True

    def publish_many(self, batches: Any) -> bool:
        return all(self.publish(*batch) for batch in batches)
