"""Nodes that end badly, for NODE_MODULES: one kills its process, one stumbles."""

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
