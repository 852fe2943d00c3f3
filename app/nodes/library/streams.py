"""Nodes that send and read streams."""

from __future__ import annotations

from typing import Annotated, Any

from app.nodes.sdk import NodeContext, Port, Stream, node
from app.nodes.spec import LONGEST_SLEEP_MS
from app.values.streams import stream_value

#: What an editor stores in a stream port that nothing feeds: nothing comes of it.
NOTHING = stream_value(is_closed=False)


@node("StreamBufferNode", category="data", effects=False, tags=("stream", "text", "join"))
def stream_buffer(
    input_stream: Annotated[Stream[str], Port("inputStream", default=NOTHING)],
    separator: str = "",
) -> Annotated[str, Port("buffer", default="")]:
    """Waits for the end of a stream of texts, and joins them.

    Ports: `inputStream` the texts, `separator` stands between them, `buffer` the whole.
    """
    return separator.join(input_stream)


@node("OnStreamStarted", category="data", effects=False, tags=("stream", "trigger"))
def on_stream_started(
    input_stream: Annotated[Stream[Any], Port("inputStream", default=NOTHING)],
) -> Annotated[bool, Port("isStreamStarted", default=False)]:
    """Waits for the first item of a stream.

    Ports: `inputStream` the stream, `isStreamStarted` false if it ended without an item.
    """
    return input_stream.started()


@node("WaitForStream", category="utilities", effects=False, tags=("stream", "wait", "timeout"))
def wait_for_stream(
    trigger_stream: Annotated[Stream[Any], Port("triggerStream", default=NOTHING)],
    timeout: Annotated[float, Port(min=0)] = 5000,
) -> Annotated[bool, Port("triggered", default=False)]:
    """Waits for the first item of a stream, but not for ever.

    Ports: `triggerStream` the stream, `timeout` how long to wait in milliseconds, `triggered`
    false if no item came in time.
    """
    return trigger_stream.started(timeout / 1000)


@node("TextStreamNode", category="data", effects=False, tags=("stream", "text", "split"))
def text_stream(
    ctx: NodeContext,
    text: str = "",
    separator: str = " ",
    delay_ms: Annotated[float, Port("delayMs", min=0)] = 0,
) -> Annotated[Stream[str], Port("outputStream")]:
    """Sends a text part by part.

    Ports: `text` to send, `separator` stands between its parts and is not sent (if it is empty,
    each character is a part), `delayMs` how long to wait before each part but the first, in
    milliseconds, `outputStream` the parts.
    """
    stream = ctx.stream("outputStream")
    parts = (text.split(separator) if separator else list(text)) if text else []
    for number, part in enumerate(parts):
        if number:
            _wait(ctx, delay_ms)
        stream.send(part)
    return stream


def _wait(ctx: NodeContext, ms: float) -> None:
    left = round(ms)
    while left > 0:
        ctx.sleep(min(left, LONGEST_SLEEP_MS))
        left -= LONGEST_SLEEP_MS
