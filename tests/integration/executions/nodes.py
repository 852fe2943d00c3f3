"""Node types that do what a test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from app.errors import NodeError
from app.nodes.sdk import NodeContext, Port
from app.nodes.sdk import node as node_type

HandedOn = Annotated[str, Port(direction="passthrough")]


def node_that(
    body: Callable[[NodeContext], object], type_: str = "ProbeNode", **more: Any
) -> Callable[..., Any]:
    """A node type with effects, which hands its port `text` on."""

    @node_type(type_, category="test", **more)
    def function(ctx: NodeContext, text: HandedOn = "") -> None:
        body(ctx)

    return function


def node_that_gives(
    body: Callable[[NodeContext, Any], Any], type_: str = "ValueNode", **more: Any
) -> Callable[..., Any]:
    """A node type that gives `value`, made of the `given` one."""

    @node_type(type_, category="test", **more)
    def function(ctx: NodeContext, given: Any = None) -> Annotated[Any, Port("value")]:
        return body(ctx, given)

    return function


def fail(_: NodeContext) -> None:
    """What a node that fails does."""
    raise NodeError("boom")


#: A node that does nothing, and might have done anything.
effect = node_that(lambda _: None, "EffectNode")
