"""Streams in signatures, and the nodes that send and read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import pytest

from app.errors import NodeDefinitionError, NodeError, StreamFailed
from app.nodes.registry import builtin_catalogue
from app.nodes.sdk import NodeContext, Port, Stream, node, spec_of
from app.nodes.spec import NodeSpec
from app.values.ports import PortType
from app.values.streams import stream_value
from tests.unit.nodes.context import FakeContext, run

FAILED = {"type": "NodeError", "message": "the line is cut"}


def spec(target: Any) -> NodeSpec:
    found = spec_of(target)
    assert found is not None
    return found


def builtin(type_: str, /, **inputs: Any) -> Any:
    [value] = run(builtin_catalogue()[type_], **inputs).values()
    return value


# -- the built-in ones


def test_a_buffer_joins_what_it_reads() -> None:
    stream = stream_value(["a", "b", "c"])
    assert builtin("StreamBufferNode", inputStream=stream) == "abc"
    assert builtin("StreamBufferNode", inputStream=stream, separator="-") == "a-b-c"


def test_nothing_comes_of_a_stream_that_nothing_feeds() -> None:
    assert builtin("StreamBufferNode") == ""
    assert builtin("OnStreamStarted") is False
    assert builtin("WaitForStream") is False


@pytest.mark.parametrize("node_type", ["StreamBufferNode", "OnStreamStarted", "WaitForStream"])
def test_a_failed_stream_fails_its_reader(node_type: str) -> None:
    port = {"WaitForStream": "triggerStream"}.get(node_type, "inputStream")
    with pytest.raises(StreamFailed, match="the line is cut"):
        builtin(node_type, **{port: stream_value(error=FAILED)})


def test_a_stream_that_failed_after_its_start_has_started() -> None:
    assert builtin("OnStreamStarted", inputStream=stream_value(["a"], error=FAILED)) is True
    with pytest.raises(StreamFailed):
        builtin("StreamBufferNode", inputStream=stream_value(["a"], error=FAILED))


def test_a_buffer_takes_texts_only() -> None:
    with pytest.raises(NodeError, match=r"port 'inputStream': buffer\[1\] must be a string"):
        builtin("StreamBufferNode", inputStream=stream_value(["a", 1]))


@pytest.mark.parametrize(
    ("text", "separator", "parts"),
    [
        ("to be or", " ", ["to", "be", "or"]),
        ("a,,b", ",", ["a", "", "b"]),
        ("abc", "", ["a", "b", "c"]),
        ("", " ", []),
    ],
)
def test_a_text_is_sent_in_its_parts(text: str, separator: str, parts: list[str]) -> None:
    context = FakeContext()
    run(builtin_catalogue()["TextStreamNode"], context, text=text, separator=separator)

    assert context.streams["outputStream"].items == parts
    assert builtin("StreamBufferNode", inputStream=stream_value(parts), separator=separator) == text


def test_between_parts_it_waits() -> None:
    context = FakeContext()
    run(builtin_catalogue()["TextStreamNode"], context, text="a b c", delayMs=1500)

    assert context.sleeps == [1000, 500, 1000, 500]


# -- in a signature


def test_a_stream_is_a_port_of_its_items_type() -> None:
    @node("EchoNode", category="test")
    def echo(items: Stream[int]) -> Annotated[Stream[str], Port("texts")]:
        return [str(item) for item in items]  # type: ignore[return-value]

    ports = spec(echo).ports
    assert (ports["items"].type, ports["texts"].type) == (PortType.STREAM, PortType.STREAM)
    item = ports["items"].item
    assert item is not None
    assert (item.type, item.integer) == (PortType.NUMBER, True)
    assert ports["items"].required
    assert run(spec(echo), items=stream_value([1, 2])) == {"texts": stream_value(["1", "2"])}


def test_items_are_what_the_annotation_says() -> None:
    @dataclass
    class Point:
        x: int

    @node("PointsNode", category="test")
    def points(given: Stream[Point]) -> Annotated[int, Port("sum")]:
        return sum(point.x for point in given)

    assert run(spec(points), given=stream_value([{"x": 1}, {"x": 2}])) == {"sum": 3}


def test_a_stream_is_read_in_a_coroutine_too() -> None:
    @node("GatherNode", category="test")
    async def gather(given: Stream[str]) -> Annotated[str, Port("text")]:
        return "".join([item async for item in given])

    assert run(spec(gather), given=stream_value(["a", "b"])) == {"text": "ab"}


def test_it_may_be_read_again() -> None:
    @node("TwiceNode", category="test")
    def twice(given: Stream[str]) -> Annotated[str, Port("text")]:
        return "".join([*given, *given])

    assert run(spec(twice), given=stream_value(["a", "b"])) == {"text": "abab"}


@pytest.mark.parametrize("returned", ["the stream", "None"])
def test_what_was_sent_is_not_returned_again(returned: str) -> None:
    class Result(NamedTuple):
        items: Annotated[Stream[str], Port("items")]
        count: int

    @node("CountNode", category="test")
    def count(ctx: NodeContext) -> Result:
        stream = ctx.stream("items")
        stream.send("a")
        return Result(stream if returned == "the stream" else None, 1)  # type: ignore[arg-type]

    assert run(spec(count)) == {"count": 1}


def test_a_stream_can_not_be_handed_on_as_it_is() -> None:
    with pytest.raises(NodeDefinitionError, match="is a stream, which can't be handed on"):

        @node("HandOnNode", category="test")
        def hand_on(given: Annotated[Stream[str], Port(direction="passthrough")]) -> None: ...
