"""Waits for signals: durable, in order, raced by their time, and without a worker that waits."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.executions.run import RunEnd
from app.nodes.sdk import NodeContext
from app.store.signals import Sent, SignalStore
from tests.integration.executions.nodes import effect, fail, node_that
from tests.integration.executions.process import (
    Driven,
    Process,
    checkpoints,
    execution_of,
    flow,
    node,
    options,
    pass_time,
    told,
)
from tests.integration.executions.sending import Sent as SentSteps
from tests.integration.executions.test_sleeps import fire, outputs
from tests.waiting import wait_until
from tests.world import PgWorld

LONG_MS = 60_000


@pytest.fixture
def signals(world: PgWorld) -> SignalStore:
    return SignalStore(world.database)


def waiter(node_id: str = "wait", name: str = "go", timeout_ms: float = 0) -> dict[str, Any]:
    values = {"name": name, "timeoutMs": timeout_ms}
    return node(node_id, "WaitForSignalNode", values=values)


def wait_then(then: str = "then", **more: Any) -> dict[str, Any]:
    edge = {"source": "wait.__success", "target": f"{then}.__execute"}
    return flow(waiter(**more), node(then, "EffectNode"), edges=[edge])


def send(signals: SignalStore, execution: str, payload: str = "1", name: str = "go") -> str | None:
    sent = signals.send(execution, name, payload)
    assert isinstance(sent, Sent)
    return sent.node_id


def given(payload: Any, *, timed_out: bool = False) -> dict[str, Any]:
    return {"payload": payload, "timedOut": timed_out}


def test_a_wait_holds_no_worker_and_ends_in_another(
    world: PgWorld, process: Process, other: Process, signals: SignalStore
) -> None:
    execution = execution_of(world, wait_then())

    assert process.run(execution, effect) is RunEnd.PARKED

    row = world.row(execution)
    waiting = checkpoints(world, execution)["wait"]
    assert (row.status, row.processing_worker_id, row.runnable_at) == ("running", None, None)
    assert row.waiting["for"] == "signal"
    assert row.waiting["detail"] == {"nodeId": "wait", "signal": "go"}
    assert (row.waiting["until"], row.wake_at, row.grants) == (None, None, {})
    assert (waiting.status, waiting.retry_at, waiting.error) == ("waiting", None, None)

    assert send(signals, execution, '{"by":["Ada"]}') == "wait"
    assert other.run(execution, effect) is RunEnd.FINISHED

    assert told(world, execution)[2:-2] == [
        "node:started wait",
        "node:completed wait",
        "node:started then",
        "node:completed then",
    ]
    taken = checkpoints(world, execution)["wait"]
    assert (taken.status, taken.attempt) == ("completed", 1)
    assert taken.outputs == outputs(world, execution, "wait") == given({"by": ["Ada"]})


def test_a_signal_that_was_kept_is_taken_at_once(
    world: PgWorld, process: Process, signals: SignalStore
) -> None:
    execution = execution_of(world, wait_then())
    assert send(signals, execution, "null") is None
    assert send(signals, execution, "2") is None

    assert process.run(execution, effect) is RunEnd.FINISHED

    assert outputs(world, execution, "wait") == given(None)
    assert "park" not in process.store.calls


def test_signals_go_in_order_to_nodes_in_document_order(
    world: PgWorld, process: Process, signals: SignalStore
) -> None:
    document = flow(waiter("c"), waiter("x", "other"), waiter("a"), waiter("b"))
    execution = execution_of(world, document)
    assert send(signals, execution, "1") is None
    assert process.run(execution) is RunEnd.PARKED
    assert outputs(world, execution, "c") == given(1)

    assert [send(signals, execution, payload) for payload in ("2", "3", "4")] == ["a", "b", None]

    assert process.run(execution) is RunEnd.PARKED
    assert outputs(world, execution, "a") == given(2)
    assert outputs(world, execution, "b") == given(3)
    assert send(signals, execution, "5", "other") == "x"
    assert process.run(execution) is RunEnd.FINISHED


def test_a_run_that_is_busy_takes_a_signal_when_it_is_told(
    world: PgWorld, process: Process, signals: SignalStore
) -> None:
    running = _run_that_is_busy(world, process)
    execution = running.run.fence.execution_id

    assert send(signals, execution) == "wait"
    running.run.alert()

    assert running.end() is RunEnd.FINISHED
    assert outputs(world, execution, "wait") == given(1)


def test_it_takes_it_at_the_next_renewal_where_nobody_tells_it(
    world: PgWorld, process: Process, signals: SignalStore
) -> None:
    running = _run_that_is_busy(world, process)
    execution = running.run.fence.execution_id
    assert send(signals, execution) == "wait"

    process.keeper(lambda: [running.run]).renew()

    assert running.end() is RunEnd.FINISHED


def _run_that_is_busy(world: PgWorld, process: Process) -> Driven:
    """A run in the middle of a node that ends once the wait beside it has ended."""
    begun = threading.Event()

    def outlast(ctx: NodeContext) -> None:
        begun.set()
        wait_until(lambda: _status(world, ctx.execution_id) == "completed", "the wait is over")

    execution = execution_of(world, flow(waiter(), node("beside", "ProbeNode")))
    running = process.start(process.claim(process.around(node_that(outlast)), execution))
    assert begun.wait(60)
    wait_until(lambda: _status(world, execution) == "waiting", "it waits")
    return running


def _status(world: PgWorld, execution: str) -> str | None:
    row = checkpoints(world, execution).get("wait")
    return None if row is None else str(row.status)


def test_a_signal_that_comes_as_it_parks_is_not_slept_through(
    world: PgWorld, process: Process, signals: SignalStore
) -> None:
    execution = execution_of(world, wait_then())
    park = process.store.store.park
    sent: list[str | None] = []

    def late(*args: Any) -> Any:
        if not sent:
            sent.append(send(signals, execution))
        return park(*args)

    process.store.store.park = late  # type: ignore[method-assign]

    assert process.run(execution, effect) is RunEnd.FINISHED
    assert sent == ["wait"]


# -- by its time


def test_the_time_of_a_wait_is_a_timer(
    world: PgWorld, process: Process, other: Process, signals: SignalStore
) -> None:
    execution = execution_of(world, wait_then(timeout_ms=LONG_MS))
    assert process.run(execution, effect) is RunEnd.PARKED
    row = world.row(execution)
    assert row.wake_at == checkpoints(world, execution)["wait"].retry_at
    assert row.waiting["until"] is not None

    pass_time(world, execution, LONG_MS)
    assert fire(world) == [execution]
    assert other.run(execution, effect) is RunEnd.FINISHED

    assert outputs(world, execution, "wait") == given(None, timed_out=True)
    assert checkpoints(world, execution)["wait"].retry_at is None


def test_a_signal_before_its_time_ends_it(
    world: PgWorld, process: Process, signals: SignalStore
) -> None:
    execution = execution_of(world, wait_then(timeout_ms=LONG_MS))
    process.run(execution, effect)

    assert send(signals, execution) == "wait"
    pass_time(world, execution, LONG_MS)
    fire(world)
    assert process.run(execution, effect) is RunEnd.FINISHED

    assert outputs(world, execution, "wait") == given(1)


def test_a_short_wait_is_waited_for_in_place(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, wait_then(timeout_ms=20))

    assert process.run(execution, effect) is RunEnd.FINISHED

    assert outputs(world, execution, "wait") == given(None, timed_out=True)
    assert "park" not in process.store.calls


def test_of_signal_and_time_one_wins_for_all(
    world: PgWorld, process: Process, signals: SignalStore
) -> None:
    """The signal comes when the run has already found the time to be up."""
    execution = execution_of(world, wait_then(timeout_ms=20))
    end_wait = process.store.store.end_signal_wait
    sent: list[str | None] = []

    def late(*args: Any) -> None:
        world.change("chaingraph_checkpoints", {"node_id": "wait"}, retry_at=None)
        sent.append(send(signals, execution))
        end_wait(*args)

    process.store.store.end_signal_wait = late  # type: ignore[method-assign]

    assert process.run(execution, effect) is RunEnd.FINISHED
    assert sent == ["wait"]
    assert outputs(world, execution, "wait") == given(1)


def test_what_came_after_its_time_goes_to_the_next_node(
    world: PgWorld, process: Process, signals: SignalStore
) -> None:
    document = flow(
        waiter("first", timeout_ms=20),
        waiter("second"),
        edges=[{"source": "first.__success", "target": "second.__execute"}],
    )
    execution = execution_of(world, document)
    assert process.run(execution) is RunEnd.PARKED

    assert send(signals, execution) == "second"
    assert process.run(execution) is RunEnd.FINISHED
    assert outputs(world, execution, "first") == given(None, timed_out=True)


# -- losses


def test_a_signal_outlives_the_owner_that_had_to_take_it(
    world: PgWorld, process: Process, other: Process, signals: SignalStore
) -> None:
    """Lost after the signal was given to the node, and before that was a checkpoint."""

    def lose(ctx: NodeContext) -> None:
        wait_until(lambda: "wait" in checkpoints(world, ctx.execution_id), "it waits")
        assert send(signals, ctx.execution_id) == "wait"
        world.take_over(ctx.execution_id)

    execution = execution_of(world, flow(waiter(), node("beside", "ProbeNode")))
    assert process.run(execution, node_that(lose)) is RunEnd.LOST
    assert checkpoints(world, execution)["wait"].status == "waiting"
    assert send(signals, execution, "2") is None

    assert other.run(execution, node_that(lambda _: None)) is RunEnd.FINISHED

    assert outputs(world, execution, "wait") == given(1)
    assert told(world, execution).count("node:started wait") == 1


def test_a_timeout_outlives_the_owner_that_found_it(
    world: PgWorld, process: Process, other: Process, signals: SignalStore
) -> None:
    execution = execution_of(world, wait_then(timeout_ms=20))
    end_wait = process.store.store.end_signal_wait

    def lose(*args: Any) -> None:
        end_wait(*args)
        world.take_over(execution)

    process.store.store.end_signal_wait = lose  # type: ignore[method-assign]
    assert process.run(execution, effect) is RunEnd.LOST
    assert send(signals, execution) is None

    assert other.run(execution, effect) is RunEnd.FINISHED

    assert outputs(world, execution, "wait") == given(None, timed_out=True)


def test_a_node_that_was_to_wait_and_was_lost_before_waits_once_more(
    world: PgWorld, process: Process, other: Process, signals: SignalStore
) -> None:
    execution = execution_of(world, wait_then())
    write = process.store.store.write

    def lose(*args: Any) -> Any:
        if process.store.writes > 1:
            world.take_over(execution)
        return write(*args)

    process.store.store.write = lose  # type: ignore[method-assign]
    assert process.run(execution, effect) is RunEnd.LOST
    assert send(signals, execution) is None

    assert other.run(execution, effect) is RunEnd.FINISHED
    assert outputs(world, execution, "wait") == given(1)
    assert checkpoints(world, execution)["wait"].attempt == 2


# -- beside other things


def test_beside_a_timer_the_timer_is_told(world: PgWorld, process: Process) -> None:
    nap = node("nap", "SleepNode", values={"duration": LONG_MS})
    execution = execution_of(world, flow(waiter(), nap))

    assert process.run(execution) is RunEnd.PARKED

    row = world.row(execution)
    assert (row.waiting["for"], row.waiting["detail"]) == ("timer", {"nodeId": "nap"})


def test_no_time_limit_counts_a_wait(
    world: PgWorld, process: Process, signals: SignalStore
) -> None:
    document = flow(waiter() | {"timeoutMs": 1})
    execution = execution_of(world, document, options=options(nodeTimeoutMs=1))
    assert process.run(execution) is RunEnd.PARKED

    send(signals, execution)
    assert process.run(execution) is RunEnd.FINISHED
    assert world.row(execution).status == "completed"


def test_a_failure_beside_it_ends_the_execution(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, flow(waiter(), node("beside", "ProbeNode")))

    assert process.run(execution, node_that(fail)) is RunEnd.FINISHED
    assert world.row(execution).status == "failed"


def test_with_debug_it_tells_that_it_waits(
    world: PgWorld, process: Process, signals: SignalStore
) -> None:
    execution = execution_of(world, flow(waiter()), options=options(debug=True))
    process.run(execution)
    send(signals, execution)
    process.run(execution)

    changes = [
        data
        for _, type_, data in world.events(execution)
        if type_ == "node:status-changed" and '"wait"' in data
    ]
    assert [each.split('"newStatus":"')[1].split('"')[0] for each in changes] == [
        "initialized",
        "executing",
        "waiting",
        "completed",
    ]


@pytest.mark.parametrize("name", ["", "two words", "a/b", "x" * 129, "é"])
def test_a_name_that_no_signal_can_have_is_refused(
    world: PgWorld, process: Process, name: str
) -> None:
    execution = execution_of(world, flow(waiter(name=name)))

    assert process.run(execution) is RunEnd.FINISHED

    row = world.row(execution)
    assert (row.status, row.error_node_id) == ("failed", "wait")
    assert "can't be a signal's name" in row.error_message


def test_a_wait_of_more_than_a_hundred_years_is_refused(world: PgWorld, process: Process) -> None:
    execution = execution_of(world, flow(waiter(timeout_ms=1e15)))

    process.run(execution)

    assert world.row(execution).error_message.startswith("timeoutMs is 1e+15; at most")


def test_a_sent_step_waits_as_one_in_place_does(
    world: PgWorld, process: Process, signals: SignalStore
) -> None:
    execution = execution_of(world, wait_then(timeout_ms=LONG_MS))
    sent = SentSteps(process, (effect,))
    assert sent.advance(execution) is RunEnd.PARKED
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.PARKED
    row = world.row(execution)
    assert (row.waiting["for"], row.wake_at) == (
        "signal",
        checkpoints(world, execution)["wait"].retry_at,
    )

    assert send(signals, execution) == "wait"
    assert sent.advance(execution) is RunEnd.PARKED
    assert world.row(execution).waiting["for"] == "worker"
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.FINISHED
    assert outputs(world, execution, "wait") == given(1)
