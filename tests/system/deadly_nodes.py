"""Nodes that end badly, for NODE_MODULES: one kills its process, others stumble or hold."""

from __future__ import annotations

import os
import signal
from typing import Annotated

from app.errors import NodeError
from app.nodes.sdk import NodeContext, Port, node


@node("KillItsProcessNode", category="test")
def kill_its_process(text: str = "") -> Annotated[str, Port("never")]:
    """Kill this process with SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)
    return text


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
        while True:
            ctx.sleep(1000)
