"""A node of a test that opens a secret of the flow's owner."""

from __future__ import annotations

from typing import Annotated

from chaingraph import NodeContext, Port, node


@node("OpeningNode", category="test")
def opens(ctx: NodeContext, name: str, holds: str) -> Annotated[bool, Port("opened")]:
    """Whether the secret of that name holds that."""
    return bool(ctx.secret(name) == holds)
