"""The node that runs another flow."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from app.nodes.calling import CallingFlow
from app.nodes.library.flow import CATEGORY
from app.nodes.sdk import Port, node


class RunFlowResult(NamedTuple):
    """The execution, and what it gave."""

    execution_id: Annotated[str, Port("executionId")]
    outputs: dict[str, Any]


@node(
    "RunFlowNode",
    category=CATEGORY,
    title="Run Flow",
    in_place=True,
    tags=("flow", "call", "child"),
)
def run_flow(
    flow_id: Annotated[str, Port("flowId", required=True, min_length=1)],
    inputs: Annotated[dict[str, Any] | None, Port(mutable=True, default={})] = None,
    wait: bool = True,
) -> RunFlowResult:
    """Runs a flow in a child execution, and takes its outputs. It holds no worker meanwhile.

    Ports: `flowId` of the flow, whose newest version runs, `inputs` laid over what it stores
    (`{node: {port: value}}`), `wait` for its end or not, `executionId` the child, `outputs` what it
    gave (empty without `wait`). A child that fails or is stopped is this node's error.
    """
    raise CallingFlow(flow_id, inputs or {}, waits=wait)
