"""Flows that run in the test's own process: the same rules, and time that costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import pytest

from app.engine import Failure, NodeFailure, NodeStatus, RunOptions
from app.errors import NodeTimeout, NonRetryableError, ValidationFailed
from app.events.types import EventType
from app.local import LocalResult, run_in_process
from app.nodes.registry import builtin_catalogue
from app.nodes.retry import RetryAfter
from app.nodes.sdk import NodeContext, Port, RetryPolicy, node, spec_of
from app.nodes.spec import NodeSpec

HOUR_MS = 3_600_000

Output = Annotated[Any, Port("output")]


@node("SayNode", category="test")
def say(ctx: NodeContext, text: Any = "hi") -> Output:
    """Hands its text on, and tells so."""
    ctx.log(f"{ctx.node_id} says {text}")
    ctx.progress(2.0, "done")
    return text


def node_type(name: str, run: Callable[[NodeContext], Any], **settings: Any) -> NodeSpec:
    """A node type that does what `run` does."""

    @node(name, category="test", **settings)
    def act(ctx: NodeContext, text: Any = None) -> Output:
        """Does something with its context."""
        return run(ctx)

    spec = spec_of(act)
    assert spec is not None
    return spec


def run(
    nodes: Sequence[dict[str, Any]], *specs: NodeSpec, edges: Sequence[str] = (), **more: Any
) -> LocalResult:
    says = spec_of(say)
    assert says is not None
    ends = [edge.split(" > ") for edge in edges]
    document = {
        "metadata": {"name": "test"},
        "nodes": list(nodes),
        "edges": [{"source": source, "target": target} for source, target in ends],
    }
    return run_in_process(document, {spec.type: spec for spec in (says, *specs)}, **more)


def says(node_id: str, **values: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "SayNode", "values": values}


def one(spec: NodeSpec, **more: Any) -> LocalResult:
    """A run of a single node."""
    return run([{"id": "n", "type": spec.type, **more}], spec)


def test_values_cross_the_edges() -> None:
    result = run([says("a", text=[1]), says("b")], edges=["a.output > b.text"])

    assert result.status == "completed"
    assert result.error is None
    assert result.nodes["b"].outputs == {"output": [1]}
    assert result.nodes["b"].status is NodeStatus.COMPLETED
    assert result.nodes["b"].attempt == 1


def test_inputs_are_laid_over_stored_values() -> None:
    result = run([says("a", text="stored")], inputs={"a": {"text": "given"}})

    assert result.nodes["a"].outputs == {"output": "given"}


def test_what_can_not_run_is_refused() -> None:
    with pytest.raises(ValidationFailed):
        run([{"id": "a", "type": "NoNode"}])
    with pytest.raises(ValidationFailed):
        run([says("a")], inputs={"a": {"nothing": 1}})


def test_the_same_run_gives_the_same_result() -> None:
    flow = [says("a", text=1), says("b", text=2), says("c")]
    edges = ["a.output > c.text", "b.output > c.text"]

    assert run(flow, edges=edges) == run(flow, edges=edges)


def test_a_test_may_choose_which_running_node_ends_next() -> None:
    flow = [says("a", text=1), says("b", text=2), says("c")]
    edges = ["a.output > c.text", "b.output > c.text"]

    assert run(flow, edges=edges).nodes["c"].outputs == {"output": 1}
    last_first = run(flow, edges=edges, order=lambda running: running[-1])
    assert last_first.nodes["c"].outputs == {"output": 2}


def test_results_are_the_callers_to_change() -> None:
    flow = [says("a", text={"deep": []})]
    run(flow).nodes["a"].outputs["output"]["deep"].append(1)

    assert flow[0]["values"] == {"text": {"deep": []}}


def test_what_a_node_tells_stands_between_its_start_and_its_end() -> None:
    kinds = [event.type for event in run([says("a")]).events]

    assert kinds[2:6] == [
        EventType.NODE_STARTED,
        EventType.NODE_DEBUG_LOG,
        EventType.NODE_PROGRESS,
        EventType.NODE_COMPLETED,
    ]


def test_logs_and_progress_carry_their_node() -> None:
    events = {event.type: event.data for event in run([says("a")]).events}

    assert events[EventType.NODE_DEBUG_LOG] == {
        "nodeId": "a",
        "level": "info",
        "log": "a says hi",
    }
    assert events[EventType.NODE_PROGRESS] == {"nodeId": "a", "progress": 1.0, "message": "done"}


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit("boom"), KeyError()])
def test_whatever_a_node_raises_is_its_failure(error: BaseException) -> None:
    def explode(ctx: NodeContext) -> None:
        raise error

    result = one(node_type("Explode", explode))

    failure = NodeFailure(type(error).__name__, str(error) or type(error).__name__)
    assert result.status == "failed"
    assert result.error == Failure("n", failure)
    assert result.nodes["n"].error == failure
    assert result.nodes["n"].status is NodeStatus.ERROR
    assert result.nodes["n"].outputs == {}


def test_what_had_not_ended_when_the_run_failed_is_cancelled() -> None:
    def explode(ctx: NodeContext) -> None:
        raise RuntimeError("boom")

    result = run(
        [{"id": "n", "type": "Explode"}, says("after")],
        node_type("Explode", explode),
        options=RunOptions(max_concurrency=1),
    )

    assert result.nodes["after"].status is NodeStatus.CANCELLED


def test_retries_wait_in_virtual_time() -> None:
    def third_time(ctx: NodeContext) -> int:
        if ctx.attempt < 3:
            raise RuntimeError("not yet")
        return ctx.attempt

    policy = RetryPolicy(max_attempts=3, backoff_ms=HOUR_MS, backoff_factor=2)
    result = one(node_type("Third", third_time, retry=policy))

    failed = [event.data for event in result.events if event.type is EventType.NODE_FAILED]
    assert result.nodes["n"].outputs == {"output": 3}
    assert result.nodes["n"].attempt == 3
    assert [data["retryAt"] for data in failed] == [
        "2000-01-01T01:00:00.000Z",
        "2000-01-01T03:00:00.000Z",
    ]
    assert result.events[-1].data["executionTimeMs"] == 3 * HOUR_MS


def test_the_retry_that_is_due_first_comes_first() -> None:
    tried: list[str] = []

    def second_time(ctx: NodeContext) -> None:
        tried.append(ctx.node_id)
        if ctx.attempt == 1:
            raise RuntimeError("not yet")

    result = run(
        [
            {"id": "late", "type": "Second", "retry": {"maxAttempts": 2, "backoffMs": 500}},
            {"id": "soon", "type": "Second", "retry": {"maxAttempts": 2, "backoffMs": 100}},
        ],
        node_type("Second", second_time),
    )

    assert result.status == "completed"
    assert tried == ["late", "soon", "soon", "late"]


def test_some_failures_are_not_tried_again() -> None:
    def give_up(ctx: NodeContext) -> None:
        raise NonRetryableError("never")

    result = one(node_type("GiveUp", give_up, retry=RetryPolicy(max_attempts=5)))

    assert result.nodes["n"].attempt == 1
    assert result.nodes["n"].error == NodeFailure("NonRetryableError", "never")


def test_a_node_may_ask_for_another_attempt() -> None:
    def ask(ctx: NodeContext) -> str:
        if ctx.attempt == 1:
            raise RetryAfter("later", delay_ms=250)
        return "done"

    result = one(node_type("Ask", ask))

    assert result.nodes["n"].outputs == {"output": "done"}
    assert result.events[-1].data["executionTimeMs"] == 250


def test_sleeping_takes_virtual_time() -> None:
    def nap(ctx: NodeContext) -> None:
        ctx.sleep(700)
        ctx.cancelled.wait(0.3)

    result = one(node_type("Nap", nap))

    (completed,) = [event for event in result.events if event.type is EventType.NODE_COMPLETED]
    assert completed.data["executionTimeMs"] == 1000


def test_nodes_side_by_side_share_the_time() -> None:
    def nap(ctx: NodeContext) -> None:
        ctx.sleep(700)

    nodes = [{"id": node_id, "type": "Nap"} for node_id in "abc"]
    result = run(nodes, node_type("Nap", nap))

    assert result.events[-1].data["executionTimeMs"] == 700


def test_a_loop_of_sleeps_ends_when_its_time_is_up() -> None:
    def wait_for_ever(ctx: NodeContext) -> None:
        while True:
            ctx.sleep(1000)

    result = one(node_type("Loop", wait_for_ever, timeout_ms=2500))

    assert result.nodes["n"].error == NodeFailure("NodeTimeout", "not done within 2500 ms")


def test_a_result_after_the_time_does_not_count() -> None:
    def late(ctx: NodeContext) -> str:
        try:
            ctx.sleep(1000)
        except NodeTimeout:
            return "late"
        return "in time"

    assert one(node_type("Late", late), timeoutMs=10).nodes["n"].error == NodeFailure(
        "NodeTimeout", "not done within 10 ms"
    )
    assert one(node_type("Late", late), timeoutMs=2000).nodes["n"].outputs == {"output": "in time"}


def test_a_wait_without_end_lasts_until_the_time_is_up() -> None:
    def wait(ctx: NodeContext) -> None:
        assert ctx.cancelled.wait()
        ctx.check()

    result = one(node_type("Wait", wait))

    assert result.nodes["n"].error == NodeFailure("NodeTimeout", "not done within 3600000 ms")


def test_an_asynchronous_node_runs_to_its_end() -> None:
    @node("AsyncNode", category="test")
    async def answer() -> Output:
        """Answers."""
        return 42

    spec = spec_of(answer)
    assert spec is not None
    assert one(spec).nodes["n"].outputs == {"output": 42}


def test_sleeps_cost_no_time_and_end_in_their_order() -> None:
    naps = [
        {"id": name, "type": "SleepNode", "values": {"duration": hours * HOUR_MS}}
        for name, hours in (("long", 48), ("short", 24))
    ]
    result = run(
        [*naps, says("then")],
        builtin_catalogue()["SleepNode"],
        edges=["short.__success > then.__execute"],
    )

    assert result.nodes["long"].outputs == {"actualDuration": 48 * HOUR_MS}
    ended = [
        event.data["nodeId"] for event in result.events if event.type is EventType.NODE_COMPLETED
    ]
    assert ended == ["short", "then", "long"]


def test_a_sleep_too_long_for_its_place_is_an_error() -> None:
    result = one(node_type("Long", lambda ctx: ctx.sleep(1001)))

    assert result.nodes["n"].error is not None
    assert result.nodes["n"].error.type == "ValueError"


def test_the_context_tells_where_it_is() -> None:
    seen: list[NodeContext] = []
    spec = node_type("Look", seen.append)
    result = one(spec)

    (ctx,) = seen
    assert result.status == "completed"
    assert (ctx.node_id, ctx.attempt, ctx.owner_id) == ("n", 1, "local")
    assert ctx.execution_id == ctx.root_execution_id
    assert ctx.idempotency_key == f"{ctx.execution_id}:n"
    assert (ctx.event, ctx.is_child, ctx.integrations) == (None, False, {})
    assert ctx.schema("text") == spec.ports["text"]
