"""What is told of a run: its events, in the order and with the data of docs/flows.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.engine.state import Failure, NodeFailure, NodeStatus, Verdict
from app.events.types import Event, EventType
from app.flows.plan import Plan
from app.values.paths import format_path
from app.values.ports import Value
from app.values.secrets import masked


class Narrator:
    """Gathers the events of a run with these inputs; `debug` adds those that are sent only then."""

    def __init__(
        self, plan: Plan, inputs: Mapping[int, Mapping[str, Value]], *, debug: bool
    ) -> None:
        self._plan = plan
        # Who has a flow run may lay a secret over a port that is for anything.
        self._masks = plan.holds_secrets or masked(inputs) is not inputs
        self._debug = debug
        self._events: list[Event] = []

    def take(self) -> list[Event]:
        """Hand over what was told since the last call."""
        events, self._events = self._events, []
        return events

    def add(self, event: Event) -> None:
        """Something happened that others tell of."""
        self._events.append(event)

    def flow_started(self) -> None:
        """The run begins."""
        self._say(EventType.FLOW_STARTED, flowMetadata=dict(self._plan.metadata))

    def initialized(self, nodes: Sequence[int]) -> None:
        """These nodes are ready at the start."""
        for node in nodes:
            self._status_changed(node, NodeStatus.IDLE, NodeStatus.INITIALIZED)

    def started(self, node: int, told: NodeStatus, attempt: int, edges: Sequence[int]) -> None:
        """A node starts, fed by these edges; `told` is its status as it was told last."""
        self._status_changed(node, told, NodeStatus.EXECUTING)
        plan_node = self._plan.nodes[node]
        self._say(
            EventType.NODE_STARTED, nodeId=plan_node.id, nodeType=plan_node.type, attempt=attempt
        )
        if self._debug:
            for edge in edges:
                self._say(EventType.EDGE_TRANSFER_COMPLETED, **self._edge(edge))

    def suspended(self, node: int) -> None:
        """A node waits for something, and runs no more."""
        self._status_changed(node, NodeStatus.EXECUTING, NodeStatus.WAITING)

    def completed(
        self, node: int, told: NodeStatus, outputs: Mapping[str, Value], execution_ms: int
    ) -> None:
        """A node completed; `told` is its status as it was told last."""
        node_id = self._plan.nodes[node].id
        self._status_changed(node, told, NodeStatus.COMPLETED)
        outputs = masked(dict(outputs)) if self._masks else outputs
        if self._debug:
            for port, value in outputs.items():
                self._say(EventType.PORT_UPDATED, nodeId=node_id, portId=port, value=value)
        self._say(
            EventType.NODE_COMPLETED,
            nodeId=node_id,
            outputs=outputs,
            executionTimeMs=execution_ms,
        )

    def failed(
        self,
        node: int,
        error: NodeFailure,
        attempt: int,
        execution_ms: int,
        *,
        retry_at: str | None,
    ) -> None:
        """A node failed: for good, or until it is tried again."""
        after = NodeStatus.WAITING if retry_at else NodeStatus.ERROR
        self._status_changed(node, NodeStatus.EXECUTING, after)
        self._say(
            EventType.NODE_FAILED,
            nodeId=self._plan.nodes[node].id,
            error=error.as_json(),
            attempt=attempt,
            willRetry=retry_at is not None,
            retryAt=retry_at,
            executionTimeMs=execution_ms,
        )

    def skipped(self, node: int, reason: str) -> None:
        """A node will not run."""
        self._status_changed(node, NodeStatus.INITIALIZED, NodeStatus.SKIPPED)
        self._say(EventType.NODE_SKIPPED, nodeId=self._plan.nodes[node].id, reason=reason)

    def transfer_failed(self, edge: int, error: str) -> None:
        """A value could not cross an edge."""
        self._say(EventType.EDGE_TRANSFER_FAILED, **self._edge(edge), error=error)

    def concluded(self, verdict: Verdict, execution_ms: int) -> None:
        """The flow ends, and with it the execution."""
        if not isinstance(verdict, Failure):
            self._say(EventType.FLOW_COMPLETED, executionTimeMs=execution_ms)
            self._say(EventType.EXECUTION_COMPLETED, executionTimeMs=execution_ms)
            return
        self._say(
            EventType.FLOW_FAILED, executionTimeMs=execution_ms, error=verdict.error.as_json()
        )
        self._say(
            EventType.EXECUTION_FAILED,
            executionTimeMs=execution_ms,
            errorMessage=verdict.error.message,
            errorNodeId=verdict.node_id,
        )

    def _status_changed(self, node: int, old: NodeStatus, new: NodeStatus) -> None:
        if self._debug and new is not old:
            self._say(
                EventType.NODE_STATUS_CHANGED,
                nodeId=self._plan.nodes[node].id,
                oldStatus=str(old),
                newStatus=str(new),
            )

    def _edge(self, index: int) -> dict[str, Value]:
        edge = self._plan.edges[index]
        return {
            "edgeId": edge.id,
            "sourceNodeId": self._plan.nodes[edge.source].id,
            "sourcePortId": format_path(edge.source_path),
            "targetNodeId": self._plan.nodes[edge.target].id,
            "targetPortId": format_path(edge.target_path),
        }

    def _say(self, type_: EventType, **data: Value) -> None:
        self._events.append(Event(type_, data))
