"""Trying flows and nodes from Python."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
from typing import Annotated, Any, NamedTuple

import pytest

from app.errors import NodeDefinitionError, NodeError, NodeTimeout, ValidationFailed
from chaingraph import NodeContext, Port, Stream, node, run_flow, run_node
from tests.waiting import wait_until


@node("LoudNode", category="text", effects=False)
def shout(
    ctx: NodeContext, text: str = "", times: Annotated[int, Port(min=1, max=3)] = 1
) -> Annotated[str, Port("shouted")]:
    """Repeats a text in capitals."""
    ctx.log(f"attempt {ctx.attempt} for {ctx.integrations.get('who')}")
    ctx.progress(0.5)
    if not text:
        raise LookupError("nothing to shout")
    return " ".join([text.upper()] * times)


@node("SleepyNode", category="test", timeout_ms=2000)
def sleepy(ctx: NodeContext, naps: int = 1) -> Annotated[int, Port("slept")]:
    """Sleeps a second at a time."""
    for _ in range(naps):
        ctx.sleep(1000)
    return naps


def flow(**values: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "Shout"},
        "nodes": [
            {"id": "who", "type": "TextNode", "values": {"text": "Ada"} | values},
            {"id": "shout", "type": "LoudNode", "values": {"times": 2}},
        ],
        "edges": [{"source": "who.text", "target": "shout.text"}],
    }


# -- a flow


def test_a_flow_runs_to_its_end() -> None:
    run = run_flow(flow(), {"who": {"text": "Grace"}}, nodes=[shout], integration={"who": "me"})

    assert run.status == "completed"
    assert run.outputs == {"shout": {"shouted": "GRACE GRACE"}}
    assert run.nodes["who"].outputs == {"text": "Grace"}
    assert [event.index for event in run.events] == list(range(-1, len(run.events) - 1))
    assert run.events[-1].type == "execution:completed"
    [log] = [event.data["log"] for event in run.events if event.type == "node:debug-log-string"]
    assert log == "attempt 1 for me"


def test_a_flow_that_fails_says_why() -> None:
    run = run_flow(flow(text=""), nodes=[shout])

    assert (run.status, run.error_message, run.outputs) == ("failed", "nothing to shout", {})
    assert run.execution.error_node_id == "shout"
    assert run.nodes["shout"].error == {"type": "LookupError", "message": "nothing to shout"}


def test_a_flow_runs_with_options() -> None:
    lenient = {"debug": True, "execution": {"onNodeError": "continue"}}
    run = run_flow(flow(text=""), options=lenient, nodes=[shout])

    assert run.status == "completed"
    assert "node:status-changed" in {event.type for event in run.events}


def test_a_timer_and_a_retry_fire() -> None:
    tries: list[int] = []

    @node("FirstFailsNode", category="test")
    def first_fails(ctx: NodeContext) -> Annotated[int, Port("attempt")]:
        """Fails once."""
        tries.append(ctx.attempt)
        if ctx.attempt == 1:
            raise LookupError
        return ctx.attempt

    document = {
        "metadata": {"name": "Later"},
        "nodes": [
            {"id": "sleep", "type": "SleepNode", "values": {"duration": 150}},
            {
                "id": "again",
                "type": "FirstFailsNode",
                "retry": {"maxAttempts": 2, "backoffMs": 150},
            },
        ],
        "edges": [],
    }
    run = run_flow(document, nodes=[first_fails])

    assert run.status == "completed"
    assert tries == [1, 2]
    assert run.outputs["sleep"]["actualDuration"] >= 150


def test_an_async_node_is_cancelled_where_it_waits_when_its_time_is_up() -> None:
    ended: list[str] = []

    @node("PatientNode", category="test", timeout_ms=1000)
    async def patient() -> None:
        """Waits for an hour."""
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cleaned up")

    patients = [{"id": name, "type": "PatientNode"} for name in ("first", "second")]
    run = run_flow({"metadata": {"name": "Patience"}, "nodes": patients, "edges": []})

    assert run.status == "failed"
    assert {run.nodes[name].error["type"] for name in ("first", "second")} == {"NodeTimeout"}
    wait_until(lambda: ended == ["cleaned up"] * 2, "both have let go")


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"inputs": {"nobody": {"text": "x"}}}, "/inputs/nobody: there is no node 'nobody'"),
        ({"options": {"speed": 3}}, "/options/speed: is unknown"),
        ({"options": {"execution": {"speed": 3}}}, "/options/execution/speed: is unknown"),
        ({"options": {"priority": 10}}, "/options/priority: must be at most 9"),
    ],
)
def test_what_can_not_be_run_is_named(wrong: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationFailed, match=fault):
        run_flow(flow(), **{"nodes": [shout]} | wrong)


def test_a_node_that_nobody_decorated_is_named() -> None:
    document = {"metadata": {"name": "Lost"}, "nodes": [{"id": "a", "type": "LostNode"}]}
    with pytest.raises(ValidationFailed, match="/nodes/0/type: unknown node type 'LostNode'"):
        run_flow(document | {"edges": []})


def test_a_flow_that_takes_too_long_is_left() -> None:
    release = threading.Event()

    @node("StuckNode", category="test")
    def stuck(ctx: NodeContext) -> Annotated[bool, Port("done")]:
        """Waits for the test."""
        return release.wait(60)

    nodes = [{"id": "n", "type": "StuckNode"}]
    document = {"metadata": {"name": "Stuck"}, "nodes": nodes, "edges": []}
    with pytest.raises(TimeoutError, match=r"is (created|running) after 0\.3 s"):
        run_flow(document, nodes=[stuck], timeout_s=0.3)
    release.set()


def test_nothing_is_left_running() -> None:
    before = set(threading.enumerate())

    run_flow(flow(), nodes=[shout])

    def left() -> list[str]:
        threads = set(threading.enumerate()) - before
        # Threads of nodes that have ended wait for more work; they hold nothing.
        return [thread.name for thread in threads if thread.name != "node"]

    wait_until(lambda: not left(), "its threads have ended")


# -- a node


def test_a_node_runs_with_checked_inputs() -> None:
    run = run_node(shout, {"text": "hi", "times": 2}, integration={"who": "me"}, attempt=3)

    assert run.outputs == {"shouted": "HI HI"}
    assert (run.logs, run.progress) == (["attempt 3 for me"], [0.5])


def test_a_built_in_node_runs_by_its_name() -> None:
    inputs = {"template": "Hello {{name}}", "variables": {"name": "Ada"}}
    assert run_node("HandlebarsTemplateNode", inputs).outputs == {"renderedText": "Hello Ada"}


def test_a_node_runs_by_the_name_that_it_was_decorated_with() -> None:
    run = run_node("LoudNode", text="hi")

    assert run == {"shouted": "HI"}
    assert (run["shouted"], list(run), len(run)) == ("HI", ["shouted"], 1)


def test_of_two_by_one_name_the_later_counts_for_as_long_as_there_is_one() -> None:
    @node("LoudNode", category="text")
    def later(text: str) -> Annotated[str, Port("whispered")]:
        """Is there for a moment."""
        return text.lower()

    assert run_node("LoudNode", text="Hi") == {"whispered": "hi"}
    del later
    gc.collect()
    assert run_node("LoudNode", text="Hi") == {"shouted": "HI"}


def test_a_flow_knows_what_was_decorated() -> None:
    assert run_flow(flow()).outputs == {"shout": {"shouted": "ADA ADA"}}


def test_inputs_may_be_keywords_beside_others() -> None:
    @node("PortsNode", category="test")
    def ports(
        inputs: str = "", target: str = "", attempt: int = 0
    ) -> Annotated[list[Any], Port("seen")]:
        """Has ports by the names of parameters."""
        return [inputs, target, attempt]

    run = run_node(ports, {"attempt": 5}, inputs="a", target="b", attempt=3)
    assert run["seen"] == ["a", "b", 5]


def test_what_a_node_raises_is_raised() -> None:
    with pytest.raises(LookupError, match="nothing to shout"):
        run_node(shout)


def test_inputs_out_of_bounds_are_named() -> None:
    with pytest.raises(ValidationFailed, match="/nodes/0/values/times: must be at most 3"):
        run_node(shout, {"times": 4})


def test_time_that_a_node_lets_pass_is_not_waited_for() -> None:
    assert run_node(sleepy, {"naps": 1}).outputs == {"slept": 1}
    assert run_node("SleepNode", {"duration": 3_600_000}).outputs == {"actualDuration": 3_600_000}
    with pytest.raises(NodeTimeout, match="not done within 2000 ms"):
        run_node(sleepy, {"naps": 3})


def test_what_is_no_node_is_refused() -> None:
    with pytest.raises(NodeDefinitionError, match="decorate it with @node"):
        run_node(len)


# -- streams


@node("ChatNode", category="test")
def chat(ctx: NodeContext) -> Annotated[Stream[str], Port("said")]:
    """Says something, and goes on once it was answered."""
    stream = ctx.stream("said")
    stream.send("hello")
    assert answered.wait(60)
    stream.send("world")
    return stream


@node("HearNode", category="test")
def hear(said: Stream[str]) -> Annotated[list[str], Port("heard")]:
    """Answers what it hears first."""
    heard = []
    for word in said:
        heard.append(word)
        answered.set()
    return heard


answered = threading.Event()


def test_a_reader_runs_beside_the_node_that_sends() -> None:
    answered.clear()
    document = {
        "metadata": {"name": "Chat"},
        "nodes": [{"id": "chat", "type": "ChatNode"}, {"id": "hear", "type": "HearNode"}],
        "edges": [{"source": "chat.said", "target": "hear.said"}],
    }

    run = run_flow(document, nodes=[chat, hear])

    assert run.outputs == {"hear": {"heard": ["hello", "world"]}}
    chunks = [each.data for each in run.events if each.type == "node:stream-chunk"]
    assert [word for chunk in chunks for word in chunk["items"]] == ["hello", "world"]


def test_a_node_that_sends_runs_alone() -> None:
    run = run_node("TextStreamNode", {"text": "a b", "delayMs": 5000})

    stream = {"type": "stream", "buffer": ["a", "b"], "isClosed": True}
    assert run.outputs == {"outputStream": stream}


def test_a_node_that_reads_runs_alone() -> None:
    stream = {"type": "stream", "buffer": ["a", "b"], "isClosed": True}
    assert run_node(hear, {"said": stream}).outputs == {"heard": ["a", "b"]}


def test_an_output_that_was_given_early_stands() -> None:
    @node("EarlyNode", category="test")
    def early(ctx: NodeContext) -> Annotated[str, Port("text")]:
        ctx.resolve("text", "first")
        return "last"

    assert run_node(early).outputs == {"text": "first"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda ctx: ctx.resolve("none", 1), "'none' is none of the node's outputs"),
        (lambda ctx: ctx.resolve("__success", True), "'__success' is none of the node's outputs"),
        (lambda ctx: ctx.resolve("text", 1), "output 'text': it must be a string, not a number"),
        (lambda ctx: ctx.resolve("text", {1}), "output 'text' is no value"),
        (lambda ctx: ctx.resolve("items", []), "output 'items' is a stream: send into it"),
        (lambda ctx: ctx.stream("text"), "'text' is no stream that the node gives"),
    ],
)
def test_what_is_not_its_to_give_is_an_error(call: Any, said: str) -> None:
    class Given(NamedTuple):
        text: str
        items: Stream[str]

    @node("WrongNode", category="test")
    def wrong(ctx: NodeContext) -> Given:
        call(ctx)
        raise AssertionError("it was taken")

    with pytest.raises(NodeError, match=re.escape(said)):
        run_node(wrong)


# -- events


EVENTS = {
    "metadata": {"name": "Events"},
    "nodes": [
        {"id": "on", "type": "EventListenerNodeV2", "values": {"eventName": "order"}},
        {"id": "emit", "type": "EventEmitterNode", "values": {"eventName": "paid"}},
        {"id": "late", "type": "EventListenerNodeV2", "values": {"eventName": "paid"}},
    ],
    "edges": [{"source": "on.__success", "target": "emit.__execute"}],
}


def test_events_drive_a_flow_and_its_children_are_waited_for() -> None:
    events = [{"eventName": "order", "payload": {"n": 1}}, {"eventName": "paid"}]

    run = run_flow(EVENTS, events=events)

    assert run.status == "completed"
    assert run.nodes["on"].outputs == {"eventSchema": {}, "eventPayload": {"n": 1}}
    told = [(event.type, event.data["eventName"]) for event in run.events if "child" in event.type]
    assert sorted(told) == [("child:completed", "paid")] * 2 + [("child:spawned", "paid")] * 2


def test_an_event_without_a_name_is_refused() -> None:
    with pytest.raises(ValidationFailed, match="/events/0/eventName"):
        run_flow(EVENTS, events=[{"payload": {}}])
