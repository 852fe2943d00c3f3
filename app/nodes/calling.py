"""How a node has another flow run, without holding a worker until its end."""

from __future__ import annotations

from collections.abc import Mapping

from app.values.ports import Value

#: What such a node gives: the execution that it had made, and what that gave.
EXECUTION_ID = "executionId"
OUTPUTS = "outputs"


class CallingFlow(Exception):
    """Raised by a node that wants the flow `flow_id` run once, in a child execution.

    `inputs` are laid over what that flow stores. With `waits` the node completes once the child
    has completed, with its outputs, and fails if it did not; else it completes at once. It is not
    run again. The time that the child takes counts towards no limit of the node.
    """

    def __init__(self, flow_id: str, inputs: Mapping[str, Value], *, waits: bool) -> None:
        super().__init__(f"flow {flow_id}")
        self.flow_id = flow_id
        self.inputs = inputs
        self.waits = waits
