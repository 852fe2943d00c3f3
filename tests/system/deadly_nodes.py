"""Nodes that end badly, or not at all, for NODE_MODULES."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Annotated, NoReturn

from app.errors import NodeError
from app.nodes.sdk import NodeContext, Port, Stream, node


@node("ExitNode", category="test")
def end_the_process(text: str = "") -> Annotated[str, Port("never")]:
    """End this process without a word."""
    os._exit(len(text))


@node("SegfaultNode", category="test")
def read_what_is_not_there(text: str = "") -> Annotated[str, Port("never")]:
    """Have this process killed for reading at address 0."""
    return text + str(ctypes.string_at(0))


@node("FreezeNode", category="test")
def freeze(ctx: NodeContext) -> Annotated[int, Port("attempt")]:
    """At its first attempt, hold the interpreter's lock for an hour."""
    if ctx.attempt == 1:
        ctypes.PyDLL(None).sleep(3600)
    return ctx.attempt


@node("DeafNode", category="test")
def hear_nothing(ctx: NodeContext) -> Annotated[int, Port("attempt")]:
    """At its first attempt, go on for an hour whatever it is told."""
    if ctx.attempt == 1:
        threading.Event().wait(3600)
    return ctx.attempt


@node("StumbleNode", category="test")
def stumble(ctx: NodeContext) -> Annotated[str, Port("key")]:
    """Fail twice, each time with the key that it would give to a receiver."""
    if ctx.attempt < 3:
        raise NodeError(ctx.idempotency_key)
    return ctx.idempotency_key


@node("EmitAndHoldNode", category="test")
def emit_and_hold(ctx: NodeContext, event: str = "") -> None:
    """Emits an event; at its first attempt it says so and waits for the end of its process."""
    ctx.emit(event, {"attempt": ctx.attempt})
    if ctx.attempt == 1:
        ctx.log("emitted")
        _await_the_end(ctx)


@node("SendAndHoldNode", category="test")
def send_and_hold(ctx: NodeContext, text: str = "") -> Annotated[Stream[str], Port("words")]:
    """Sends words; at its first attempt half of them, and it waits for the end of its process."""
    words = text.split()
    stream = ctx.stream("words")
    for word in words[: len(words) // 2]:
        stream.send(word)
    if ctx.attempt == 1:
        _await_the_end(ctx)
    for word in words[len(words) // 2 :]:
        stream.send(word)
    return stream


def _await_the_end(ctx: NodeContext) -> NoReturn:
    while True:
        ctx.sleep(1000)
