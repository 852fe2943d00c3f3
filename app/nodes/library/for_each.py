"""The node that runs a flow for each item of an array."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, TypedDict

from app.nodes.fan_out import MOST_AT_ONCE, FanningOut
from app.nodes.library.flow import CATEGORY
from app.nodes.sdk import Port, node


class ItemError(TypedDict):
    """What became of an item whose execution did not complete."""

    index: int
    executionId: str
    message: str


class ForEachResult(NamedTuple):
    """What came of the items, in their order."""

    results: list[Any]
    failed: float
    errors: list[ItemError]


@node(
    "ForEachNode",
    category=CATEGORY,
    title="For Each",
    in_place=True,
    tags=("loop", "map", "array", "child"),
)
def for_each(
    flow_id: Annotated[str, Port("flowId", required=True, min_length=1)],
    items: Annotated[  # noqa: ARG001 — read again whenever children end
        list[Any] | None, Port(default=[])
    ] = None,
    item_target: Annotated[str | None, Port("itemTarget")] = "",
    concurrency: Annotated[int, Port(min=1, max=MOST_AT_ONCE)] = 10,
) -> ForEachResult:
    """Runs a flow for each item of an array, each in a child execution. It holds no worker.

    Ports: `flowId` of the flow, whose newest version runs, `items` the array, `itemTarget` the
    port (`node.port`) of that flow that takes the item, `concurrency` how many are unfinished at
    once at most, `results` the outputs of each execution in the order of the items (null for one
    that failed or was stopped), `failed` how many did not complete, `errors` which, and why.
    """
    raise FanningOut(flow_id, item_target or "", concurrency)
