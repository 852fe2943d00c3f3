"""Streams: read beside the node that sends, kept whole, and no more durable than their source."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import pytest

from app.errors import NodeError
from app.executions.run import RunEnd
from app.nodes.sdk import NodeContext, Port, Stream
from app.nodes.sdk import node as node_type
from app.nodes.timer import Sleeping
from tests.integration.executions.losing import recover
from tests.integration.executions.nodes import node_that
from tests.integration.executions.process import (
    LeapingClock,
    Process,
    checkpoints,
    execution_of,
    flow,
    node,
    options,
    told,
)
from tests.integration.executions.sending import Sent
from tests.waiting import wait_until
from tests.world import PgWorld

#: Half of what nodes have here by default.
LIMIT_MS = 30_000
TOO_LONG = f"not done within {LIMIT_MS} ms"

Out = Annotated[Stream[str], Port("out")]
Given = Annotated[str, Port("given")]


class Signal:
    """Something that one node waits for and another, or the test, does."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def give(self) -> None:
        self._event.set()

    def wait(self) -> None:
        assert self._event.wait(60), "it never came"


def sender(body: Callable[[NodeContext, Any], object], **more: Any) -> Callable[..., Any]:
    """A node type that sends into its output `out`."""

    @node_type("SendNode", category="test", **more)
    def send(ctx: NodeContext) -> Out:
        stream = ctx.stream("out")
        body(ctx, stream)
        return stream

    return send


def reader(body: Callable[[NodeContext, Stream[str]], str], **more: Any) -> Callable[..., Any]:
    """A node type that makes a text of its input `stream`."""

    @node_type("ReadNode", category="test", **more)
    def read(ctx: NodeContext, stream: Stream[str]) -> Given:
        return body(ctx, stream)

    return read


def joined(_: NodeContext, stream: Stream[str]) -> str:
    return "".join(stream)


def letters(*items: str) -> Callable[[NodeContext, Any], None]:
    def body(_: NodeContext, stream: Any) -> None:
        for item in items:
            stream.send(item)

    return body


def piped(*more: dict[str, Any], sender_more: Any = None, reader_more: Any = None) -> Any:
    nodes = (
        node("s", "SendNode", **(sender_more or {})),
        node("r", "ReadNode", **(reader_more or {})),
    )
    return flow(*nodes, *more, edges=[{"source": "s.out", "target": "r.stream"}])


def outputs(world: PgWorld, execution: str) -> dict[str, Any]:
    return {name: row.outputs for name, row in checkpoints(world, execution).items()}


def chunks(world: PgWorld, execution: str) -> Iterator[list[str]]:
    for _, type_, data in world.events(execution):
        if type_ == "node:stream-chunk":
            yield json.loads(data)["items"]


def closed(*items: str) -> dict[str, Any]:
    return {"type": "stream", "buffer": list(items), "isClosed": True}


def test_a_reader_runs_beside_the_node_that_sends(world: PgWorld, process: Process) -> None:
    answered = Signal()

    def send(_: NodeContext, stream: Any) -> None:
        stream.send("a")
        answered.wait()
        stream.send("b")

    def read(_: NodeContext, stream: Stream[str]) -> str:
        items = iter(stream)
        first = next(items)
        answered.give()
        return first + "".join(items)

    execution = execution_of(world, piped())

    assert process.run(execution, sender(send), reader(read)) is RunEnd.FINISHED

    assert outputs(world, execution) == {"s": {"out": closed("a", "b")}, "r": {"given": "ab"}}
    lines = told(world, execution)
    assert lines.index("node:started r") < lines.index("node:completed s")
    assert lines.index("node:completed s") < lines.index("node:completed r")
    assert [item for items in chunks(world, execution) for item in items] == ["a", "b"]
    assert "node:stream-chunk" in process.published_types()


def test_every_reader_gets_the_stream_from_its_start(world: PgWorld, process: Process) -> None:
    document = flow(
        node("text", "TextStreamNode", values={"text": "to be or not"}),
        node("one", "StreamBufferNode", values={"separator": "-"}),
        node("other", "StreamBufferNode"),
        node("late", "StreamBufferNode", values={"separator": " "}),
        edges=[
            {"source": "text.outputStream", "target": "one.inputStream"},
            {"source": "text.outputStream", "target": "other.inputStream"},
            {"source": "text.outputStream", "target": "late.inputStream"},
            {"source": "text.__success", "target": "late.__execute"},
        ],
    )
    execution = execution_of(world, document)

    assert process.run(execution) is RunEnd.FINISHED

    made = outputs(world, execution)
    assert made["one"]["buffer"] == "to-be-or-not"
    assert made["other"]["buffer"] == "tobeornot"
    assert made["late"]["buffer"] == "to be or not"


def test_what_takes_a_stream_as_a_value_waits_for_the_whole(
    world: PgWorld, process: Process
) -> None:
    seen: list[Any] = []

    @node_type("ValueNode", category="test")
    def take(value: Any = None) -> None:
        seen.append(value)

    document = flow(
        node("s", "SendNode"),
        node("v", "ValueNode"),
        edges=[{"source": "s.out", "target": "v.value"}],
    )

    process.run(execution_of(world, document), sender(letters("a", "b")), take)

    assert seen == [closed("a", "b")]


def test_a_value_given_early_is_durable_before_anything_comes_of_it(
    world: PgWorld, process: Process, other: Process
) -> None:
    begun, go_on = Signal(), Signal()
    attempts: list[int] = []

    @node_type("EarlyNode", category="test")
    def early(ctx: NodeContext) -> Given:
        attempts.append(ctx.attempt)
        ctx.resolve("given", f"by attempt {ctx.attempt}")
        if ctx.attempt == 1:
            go_on.wait()
        return "at its end"

    used: list[str] = []

    @node_type("UseNode", category="test")
    def use(text: str = "") -> None:
        used.append(text)
        begun.give()

    document = flow(
        node("e", "EarlyNode"),
        node("u", "UseNode"),
        edges=[{"source": "e.given", "target": "u.text"}],
    )
    execution = execution_of(world, document)
    lost = process.start(process.claim(process.around(early, use), execution))
    begun.wait()
    wait_until(lambda: "u" in checkpoints(world, execution), "its reader has completed")
    recover(world, execution)

    assert other.run(execution, early, use) is RunEnd.FINISHED
    go_on.give()
    assert lost.end() is RunEnd.LOST

    assert (attempts, used) == ([1, 2], ["by attempt 1"])
    assert outputs(world, execution)["e"] == {"given": "by attempt 1"}


def test_the_error_of_a_stream_is_its_readers_error(world: PgWorld, process: Process) -> None:
    heard: list[str] = []

    def send(_: NodeContext, stream: Any) -> None:
        stream.send("a")
        raise NodeError("the line is cut")

    def read(_: NodeContext, stream: Stream[str]) -> str:
        items = iter(stream)
        heard.append(next(items))
        return next(items)

    execution = execution_of(world, piped(), options=options(onNodeError="continue"))

    assert process.run(execution, sender(send), reader(read)) is RunEnd.FINISHED

    rows = checkpoints(world, execution)
    assert rows["s"].outputs["out"]["buffer"] == ["a"]
    assert rows["r"].error == {"type": "StreamFailed", "message": "the line is cut"}
    assert heard == ["a"]


def test_a_reader_that_starts_after_the_failure_fails_as_well(
    world: PgWorld, process: Process
) -> None:
    def send(_: NodeContext, stream: Any) -> None:
        stream.send("a")
        raise NodeError("the line is cut")

    only_one = options(onNodeError="continue", maxConcurrency=1)
    execution = execution_of(world, piped(), options=only_one)

    process.run(execution, sender(send), reader(joined))

    assert checkpoints(world, execution)["r"].error["message"] == "the line is cut"


@pytest.mark.parametrize("places", [1, 2])
def test_however_many_may_run_nothing_hangs(world: PgWorld, process: Process, places: int) -> None:
    """The reader comes first in the document, and never holds the place that its source needs."""
    document = flow(
        node("r", "ReadNode"),
        node("s", "SendNode"),
        edges=[{"source": "s.out", "target": "r.stream"}],
    )
    execution = execution_of(world, document, options=options(maxConcurrency=places))

    run = process.claim(process.around(sender(letters("a", "b")), reader(joined)), execution)
    assert process.start(run).end(60) is RunEnd.FINISHED

    assert outputs(world, execution)["r"] == {"given": "ab"}


def test_a_reader_ends_when_its_time_is_up(world: PgWorld, process: Process) -> None:
    timed_out = Signal()
    clock = LeapingClock()

    def send(_: NodeContext, stream: Any) -> None:
        stream.send("a")
        timed_out.wait()

    def read(ctx: NodeContext, stream: Stream[str]) -> str:
        clock.leap(ctx, LIMIT_MS / 1000)
        try:
            return "".join(stream)
        finally:
            timed_out.give()

    document = piped(reader_more={"timeoutMs": LIMIT_MS})
    execution = execution_of(world, document, options=options(onNodeError="continue"))

    assert process.run(execution, sender(send), reader(read), clock=clock) is RunEnd.FINISHED

    rows = checkpoints(world, execution)
    assert rows["s"].status == "completed"
    assert rows["r"].error == {"type": "NodeTimeout", "message": TOO_LONG}


def test_a_reader_does_not_outlive_the_time_of_its_source(world: PgWorld, process: Process) -> None:
    """Whatever the source does: it hears nothing, and hands nothing in."""
    reading, given_up = Signal(), Signal()
    clock = LeapingClock()

    def send(ctx: NodeContext, stream: Any) -> None:
        stream.send("a")
        reading.wait()
        clock.leap(ctx, LIMIT_MS / 1000)
        given_up.wait()

    def read(_: NodeContext, stream: Stream[str]) -> str:
        reading.give()
        return "".join(stream)

    document = piped(sender_more={"timeoutMs": LIMIT_MS})
    execution = execution_of(world, document, options=options(onNodeError="continue"))

    assert process.run(execution, sender(send), reader(read), clock=clock) is RunEnd.FINISHED
    given_up.give()

    rows = checkpoints(world, execution)
    assert rows["s"].error == {"type": "NodeTimeout", "message": TOO_LONG}
    assert rows["s"].outputs["out"]["buffer"] == ["a"]
    assert rows["r"].error == {"type": "StreamFailed", "message": TOO_LONG}


def test_who_has_opened_a_stream_can_not_leave_it_for_a_timer(
    world: PgWorld, process: Process
) -> None:
    def send(_: NodeContext, stream: Any) -> None:
        stream.send("a")
        raise Sleeping(60_000, "out")

    execution = execution_of(world, piped(), options=options(onNodeError="continue"))

    assert process.run(execution, sender(send), reader(joined)) is RunEnd.FINISHED

    message = "a node that gave an output can't wait outside a worker"
    assert checkpoints(world, execution)["s"].error["message"] == message
    assert checkpoints(world, execution)["r"].error["message"] == message


def test_a_long_stream_is_told_in_chunks_that_fit(world: PgWorld, process: Process) -> None:
    words = [f"{number:05}" + "x" * 1000 for number in range(150)]
    execution = execution_of(world, piped())

    process.run(execution, sender(letters(*words)), reader(joined))

    told_chunks = list(chunks(world, execution))
    assert [word for chunk in told_chunks for word in chunk] == words
    sizes = [
        len(data) for _, type_, data in world.events(execution) if type_ == "node:stream-chunk"
    ]
    assert len(sizes) >= 3
    assert max(sizes) <= 64 * 1024
    assert process.published_types().count("node:stream-chunk") == len(sizes)


def test_a_reader_ends_with_a_stop(world: PgWorld, process: Process) -> None:
    reading, ended = Signal(), Signal()

    def send(ctx: NodeContext, _: Any) -> None:
        ctx.cancelled.wait(20)

    def read(ctx: NodeContext, stream: Stream[str]) -> str:
        reading.give()
        try:
            return "".join(stream)
        finally:
            ended.give()

    execution = execution_of(world, piped())
    run = process.claim(process.around(sender(send), reader(read)), execution)
    driven = process.start(run)
    reading.wait()

    world.commands().stop(execution, "enough")
    run.alert()

    assert driven.end() is RunEnd.LOST
    ended.wait()


def test_a_retry_of_the_source_starts_its_readers_anew(world: PgWorld, process: Process) -> None:
    reading = Signal()
    read_by: list[int] = []

    def send(ctx: NodeContext, stream: Any) -> None:
        stream.send(f"attempt {ctx.attempt}")
        if ctx.attempt == 1:
            reading.wait()
            raise NodeError("once more")

    def read(ctx: NodeContext, stream: Stream[str]) -> str:
        read_by.append(ctx.attempt)
        items = iter(stream)
        first = next(items)
        reading.give()
        return first + "".join(items)

    document = piped(sender_more={"retry": {"maxAttempts": 2, "backoffMs": 50}})
    execution = execution_of(world, document)

    assert process.run(execution, sender(send), reader(read)) is RunEnd.FINISHED

    assert read_by == [1, 2]
    assert outputs(world, execution)["r"] == {"given": "attempt 2"}
    assert told(world, execution).count("node:failed r") == 0


def test_while_the_source_waits_for_its_retry_its_readers_hold_no_worker(
    world: PgWorld, process: Process
) -> None:
    reading = Signal()

    def send(_: NodeContext, __: Any) -> None:
        reading.wait()
        raise NodeError("much later")

    def read(_: NodeContext, stream: Stream[str]) -> str:
        reading.give()
        return "".join(stream)

    document = piped(sender_more={"retry": {"maxAttempts": 2, "backoffMs": 60_000}})
    execution = execution_of(world, document)

    assert process.run(execution, sender(send), reader(read)) is RunEnd.PARKED

    assert world.row(execution).waiting["for"] == "retry"


def test_after_a_crash_in_the_middle_both_run_again(
    world: PgWorld, process: Process, other: Process
) -> None:
    """The end of a reader is kept no sooner than what it read: the rerun sends something else."""
    go_on = Signal()
    done = Signal()

    def send(ctx: NodeContext, stream: Any) -> None:
        stream.send(f"from {ctx.attempt}")
        if ctx.attempt == 1:
            go_on.wait()

    def read(_: NodeContext, stream: Stream[str]) -> str:
        first = next(iter(stream))
        done.give()
        return first

    document = flow(
        node("s", "SendNode"),
        node("r", "ReadNode"),
        node("on", "OnStreamStarted"),
        node("after", "EffectNode"),
        edges=[
            {"source": "s.out", "target": "r.stream"},
            {"source": "s.out", "target": "on.inputStream"},
            {"source": "on.isStreamStarted", "target": "after.__execute"},
        ],
    )
    execution = execution_of(world, document)
    types = (sender(send), reader(read), node_that(lambda _: None, "EffectNode"))
    lost = process.start(process.claim(process.around(*types), execution))
    done.wait()
    wait_until(lambda: "after" in checkpoints(world, execution), "what it sets going is done")
    assert checkpoints(world, execution).keys() == {"on", "after"}
    recover(world, execution)

    assert other.run(execution, *types) is RunEnd.FINISHED
    go_on.give()
    assert lost.end() is RunEnd.LOST

    rows = checkpoints(world, execution)
    assert rows["s"].outputs["out"] == closed("from 2")
    assert rows["r"].outputs == {"given": "from 2"}
    assert {name: row.attempt for name, row in rows.items()} == {
        "on": 1,
        "after": 1,
        "s": 2,
        "r": 2,
    }


def test_a_reader_of_a_pure_source_is_kept_at_once(world: PgWorld, process: Process) -> None:
    go_on = Signal()

    def send(_: NodeContext, stream: Any) -> None:
        stream.send("a")
        go_on.wait()

    execution = execution_of(world, piped())
    first = reader(lambda _, stream: next(iter(stream)))
    run = process.start(
        process.claim(process.around(sender(send, effects=False), first), execution)
    )

    wait_until(lambda: "r" in checkpoints(world, execution), "the reader is kept")
    assert "s" not in checkpoints(world, execution)
    go_on.give()
    assert run.end() is RunEnd.FINISHED


def test_a_stream_may_not_grow_beyond_what_a_checkpoint_may_hold(
    world: PgWorld, process: Process
) -> None:
    sent: list[int] = []

    def send(_: NodeContext, stream: Any) -> None:
        while True:
            stream.send("x" * 10_000)
            sent.append(1)

    execution = execution_of(world, piped(), options=options(onNodeError="continue"))

    process.run(execution, sender(send), reader(joined), max_value_bytes=100_000)

    assert len(sent) == 9
    error = checkpoints(world, execution)["s"].error
    assert error["message"] == "output 'out' has more than 100000 bytes of JSON"


def test_a_pause_lets_the_source_end_and_nothing_start(world: PgWorld, process: Process) -> None:
    started, asked = Signal(), Signal()

    def send(ctx: NodeContext, stream: Any) -> None:
        started.give()
        asked.wait()

    @node_type("SendNode", category="test")
    def late(ctx: NodeContext) -> Out:
        started.give()
        asked.wait()
        stream = ctx.stream("out")
        stream.send("a")
        return stream

    execution = execution_of(world, piped())
    run = process.claim(process.around(late, reader(joined)), execution)
    driven = process.start(run)
    started.wait()
    world.commands().pause(execution, "wait")
    run.alert()
    wait_until(lambda: run._writer.request is not None, "the run knows of it")
    asked.give()

    assert driven.end() is RunEnd.PAUSED
    assert checkpoints(world, execution).keys() == {"s"}

    world.commands().resume(execution)
    assert process.run(execution, late, reader(joined)) is RunEnd.FINISHED
    assert outputs(world, execution)["r"] == {"given": "a"}


def test_a_breakpoint_at_a_reader_holds_after_the_source(world: PgWorld, process: Process) -> None:
    at_reader = json.dumps(json.loads(options()) | {"breakpoints": ["r"]})
    execution = execution_of(world, piped(), options=at_reader)
    types = (sender(letters("a", "b")), reader(joined))

    assert process.run(execution, *types) is RunEnd.PAUSED

    assert checkpoints(world, execution).keys() == {"s"}
    assert world.row(execution).breakpoints_hit == ["r"]
    world.commands().resume(execution)
    assert process.run(execution, *types) is RunEnd.FINISHED
    assert outputs(world, execution)["r"] == {"given": "ab"}


def test_a_step_runs_one_node_though_its_stream_is_open(world: PgWorld, process: Process) -> None:
    document = piped(node("first", "TextNode"))
    execution = execution_of(
        world, document, options=json.dumps(json.loads(options()) | {"breakpoints": ["s"]})
    )
    types = (sender(letters("a", "b")), reader(joined))
    assert process.run(execution, *types) is RunEnd.PAUSED

    assert world.commands().step(execution, world.row(execution).writes) is not None
    assert process.run(execution, *types) is RunEnd.PAUSED

    assert checkpoints(world, execution).keys() == {"s"}
    assert world.commands().step(execution, world.row(execution).writes) is not None
    assert process.run(execution, *types) is RunEnd.PAUSED
    assert outputs(world, execution)["r"] == {"given": "ab"}


def test_steps_that_are_sent_see_a_stream_once_it_is_a_checkpoint(
    world: PgWorld, process: Process
) -> None:
    execution = execution_of(world, piped())
    sent = Sent(process, (sender(letters("a", "b")), reader(joined)))

    assert sent.advance(execution) is RunEnd.PARKED
    assert sent.run_step()
    assert not sent.steps
    assert sent.advance(execution) is RunEnd.PARKED
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.FINISHED

    assert outputs(world, execution)["r"] == {"given": "ab"}
    assert list(chunks(world, execution)) == [["a", "b"]]


def test_a_stream_that_was_opened_in_place_waits_for_its_end_where_steps_are_sent(
    world: PgWorld, process: Process
) -> None:
    reading = Signal()

    def send(ctx: NodeContext, stream: Any) -> None:
        stream.send("a")
        if ctx.attempt == 1:
            reading.wait()
            ctx.cancelled.wait(20)

    def read(ctx: NodeContext, stream: Stream[str]) -> str:
        next(iter(stream))
        reading.give()
        return "".join(stream)

    execution = execution_of(world, piped())
    run = process.claim(process.around(sender(send), reader(read)), execution)
    driven = process.start(run)
    reading.wait()
    recover(world, execution)
    run.alert()
    assert driven.end() is RunEnd.LOST
    sent = Sent(process, (sender(send), reader(read)))

    assert sent.advance(execution) is RunEnd.PARKED
    assert [node_id for _, node_id in sent.steps] == ["s"]
    # Nor can a process read it that runs steps in place, while another one sends.
    world.wake(execution, runnable=True)
    assert process.run(execution, sender(send), reader(read)) is RunEnd.PARKED
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.PARKED
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.FINISHED

    assert outputs(world, execution)["r"] == {"given": "a"}


def test_a_reader_with_a_queue_of_its_own_is_sent_once_the_stream_is_whole(
    world: PgWorld, process: Process
) -> None:
    execution = execution_of(world, piped(reader_more={"queue": "gpu"}))
    sent = Sent(process, (sender(letters("a", "b")), reader(joined)), sends_all=False)

    assert sent.advance(execution) is RunEnd.PARKED

    assert outputs(world, execution) == {"s": {"out": closed("a", "b")}}
    assert sent.steps == [(execution, "r")]
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.FINISHED
    assert outputs(world, execution)["r"] == {"given": "ab"}


def both_outputs(body: Callable[[NodeContext, Any], str]) -> Callable[..., Any]:
    """A node type with a stream and a text, which may be too large."""

    class Both(NamedTuple):
        out: Stream[str]
        text: str

    @node_type("SendNode", category="test")
    def send(ctx: NodeContext) -> Both:
        stream = ctx.stream("out")
        return Both(stream, body(ctx, stream))

    return send


def test_a_stream_whose_node_fails_after_its_last_item_has_failed(
    world: PgWorld, process: Process
) -> None:
    def send(_: NodeContext, stream: Any) -> str:
        stream.send("a")
        return "x" * 10_000

    execution = execution_of(world, piped(), options=options(onNodeError="continue"))

    process.run(execution, both_outputs(send), reader(joined), max_value_bytes=1000)

    rows = checkpoints(world, execution)
    assert rows["s"].status == "error"
    assert rows["r"].error["type"] == "StreamFailed"


@pytest.mark.parametrize("places", [1, 2])
def test_a_stream_that_was_closed_stands_though_its_node_fails_later(
    world: PgWorld, process: Process, places: int
) -> None:
    def send(_: NodeContext, stream: Any) -> None:
        stream.send("a")
        stream.close()
        raise NodeError("later")

    either = options(onNodeError="continue", maxConcurrency=places)
    execution = execution_of(world, piped(), options=either)

    process.run(execution, sender(send), reader(joined))

    rows = checkpoints(world, execution)
    assert (rows["s"].status, rows["r"].outputs) == ("error", {"given": "a"})
