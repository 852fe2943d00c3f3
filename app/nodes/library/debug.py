"""A node that speaks to whoever watches the run."""

from __future__ import annotations

from app.nodes.sdk import NodeContext, node


@node(
    "DebugLogNode",
    category="utilities",
    title="Debug Log",
    in_place=True,
    tags=("debug", "log", "console"),
)
def debug_log(ctx: NodeContext, message: str | None = "") -> None:
    """Sends a message to the events of the run.

    Ports: `message` the text.
    """
    ctx.log(message or "")
