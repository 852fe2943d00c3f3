"""Looking into an execution: its nodes and outputs, rebuilt from plan and checkpoints.

What follows from the checkpoints (skips, inputs, chosen edges) is not stored; the engine that
decided it decides it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from app.engine import (
    Checkpoint,
    Completion,
    Engine,
    NodeFailure,
    NodeStatus,
    Record,
    Resolution,
    RunOptions,
    Wiring,
)
from app.engine.state import SETTLED
from app.errors import ValidationFailed
from app.events.wire import timestamp
from app.executions.opening import driving_event
from app.executions.timers import CallWait, FanOutWait, Plan, SignalWait, read_plan
from app.executions.views import FINAL, loaded, optional_time
from app.flows import overlay_inputs
from app.store.records import RESOLVED, EndedChild, EndedNode
from app.values.paths import get_path
from app.values.ports import SYSTEM_PORTS, Missing, Value
from app.values.secrets import masked, masked_in

#: A node that runs in no attempt.
_NOT_BEGUN = frozenset({NodeStatus.IDLE, NodeStatus.INITIALIZED, NodeStatus.SKIPPED})

#: What waits for children.
_FAMILY = FanOutWait | CallWait

#: A node that the end of its execution doesn't change.
_AT_REST = SETTLED | {NodeStatus.IDLE}


class Inspection:
    """One execution, as it stands; of an ended child, what it gave and nothing else."""

    def __init__(
        self,
        wiring: Wiring,
        row: Row[Any] | EndedChild,
        checkpoints: Sequence[Row[Any]] | Sequence[EndedNode],
    ) -> None:
        options = loaded(row.options)
        self.row: Any = row
        self._plan = wiring.plan
        self._checkpoints: dict[str, Any] = {
            each.node_id: each for each in checkpoints if each.status != RESOLVED
        }
        self._granted: dict[str, int] = loaded(row.grants) or {}
        self._engine = Engine(
            wiring,
            RunOptions(fail_on_error=options["execution"]["onNodeError"] == "fail"),
            _overlaid(wiring, loaded(row.inputs) or {}),
            driving_event(loaded(row.external_events)),
        )
        # A fork has checkpoints before it has begun.
        if row.started_at is not None or checkpoints:
            self._engine.restore(map(as_record, checkpoints), self._granted)
            if row.status == "completed":
                self._engine.verdict()

    @property
    def has_running_nodes(self) -> bool:
        """Whether some node was started and is not settled."""
        return bool(self._granted) and self.row.status not in {"paused", *FINAL}

    def has_ready(
        self,
        now: Callable[[], datetime],
        signals: Callable[[], Sequence[tuple[str | None, str]]],
        children: Callable[[], Sequence[tuple[str, str]]],
    ) -> bool:
        """Whether it could go on: a node is ready, or what it waits for has come, or all is done.

        `signals` gives node and name of each signal, None for a node where it is kept;
        `children` the nodes that have children whose ends are not told yet, each with the
        `child_state` of such a child.
        """
        engine = self._engine
        if engine.next_start() is not None or engine.unhandled:
            return engine.unhandled is None
        waiting = [self._checkpoints[self._plan.nodes[node].id] for node in engine.waiting]
        due = [checkpoint.retry_at for checkpoint in waiting if checkpoint.retry_at]
        is_due = bool(due) and min(due) <= now()
        return is_due or self._is_signalled(signals) or self._has_what_children_give(children)

    def _has_what_children_give(self, children: Callable[[], Sequence[tuple[str, str]]]) -> bool:
        """Whether it could complete, or a node go on, for what its children have come to."""
        is_done = isinstance(self._engine.verdict(), Completion)
        parents = {node_id for node_id, plan in self._plans() if isinstance(plan, _FAMILY)}
        if not (is_done or parents):
            return False
        family = children()
        unfinished = {node_id for node_id, state in family if state == "open"}
        if is_done:
            return not unfinished
        # One that has none left was told of them by a pause: it makes more of them, or ends.
        return bool(parents - unfinished) or any(
            node_id in parents and state == "untold" for node_id, state in family
        )

    def _is_signalled(self, signals: Callable[[], Sequence[tuple[str | None, str]]]) -> bool:
        """Whether a signal has come that a node waits for."""
        names = {id_: plan.name for id_, plan in self._plans() if isinstance(plan, SignalWait)}
        if not names:
            return False
        return any(
            node_id in names if node_id is not None else name in names.values()
            for node_id, name in signals()
        )

    def _plans(self) -> Iterator[tuple[str, Plan | None]]:
        """Each node that waits, and what it waits for; None for its next attempt."""
        for node in self._engine.waiting:
            checkpoint = self._checkpoints[self._plan.nodes[node].id]
            yield checkpoint.node_id, read_plan(loaded(checkpoint.outputs))

    def node(self, index: int, started_at: Mapping[str, datetime]) -> dict[str, Value]:
        """Show a node. `started_at` gives when those began that still run."""
        node = self._plan.nodes[index]
        status = self._status(index)
        checkpoint = self._checkpoints.get(node.id)
        began = status not in _NOT_BEGUN and not node.is_template
        shown: dict[str, Value] = {
            "id": node.id,
            "nodeId": node.id,
            "type": node.type,
            "status": str(status),
            "attempt": self._engine.attempts[index],
            "startedAt": None,
            "completedAt": None,
            "executionTimeMs": None,
            "retryAt": None,
            "workerId": None,
            "inputs": self._inputs(index) if began else None,
            "outputs": None,
            "error": None,
        }
        if status is NodeStatus.EXECUTING:
            shown["workerId"] = self.row.processing_worker_id
            shown["startedAt"] = optional_time(started_at.get(node.id))
        elif checkpoint is not None:
            shown |= _from_checkpoint(checkpoint)
        if status is NodeStatus.COMPLETED:
            shown["outputs"] = masked(self._engine.own_outputs(index))
        return shown

    def index_of(self, node_id: str) -> int | None:
        """The place of a node in the document."""
        return self._plan.index_of.get(node_id)

    def size(self) -> int:
        """How many nodes there are."""
        return len(self._plan.nodes)

    def outputs(self) -> dict[str, Value]:
        """What the execution as a whole gives: what the flow names, else its loose ends.

        Sealed texts are in it as they are: for whom it is shown to, `masked` takes them out.
        """
        if self._plan.outputs is not None:
            return {
                name: self._value_at(node, path)
                for name, (node, path) in self._plan.outputs.items()
            }
        return {
            node.id: self._engine.own_outputs(node.index)
            for node in self._plan.nodes
            if self._engine.status[node.index] is NodeStatus.COMPLETED
            and all(self._plan.edges[e].source_root in SYSTEM_PORTS for e in node.out_edges)
        }

    def _value_at(self, node: int, path: Sequence[str | int]) -> Value:
        found = get_path(self._engine.outputs.get(node, {}), path)
        return None if isinstance(found, Missing) else found

    def _status(self, index: int) -> NodeStatus:
        status = self._engine.status[index]
        settled = status in _AT_REST
        if not settled and self.row.status in FINAL:
            return NodeStatus.CANCELLED
        is_running = self._plan.nodes[index].id in self._granted and self.row.status != "paused"
        if is_running and not settled:
            return NodeStatus.EXECUTING
        return status

    def _inputs(self, index: int) -> dict[str, Value]:
        ports = self._plan.nodes[index].ports
        return {
            port: masked_in(ports[port], value)
            for port, value in self._engine.inputs(index).items()
            if port not in SYSTEM_PORTS and port in ports and ports[port].takes_input
        }


def _overlaid(wiring: Wiring, inputs: Value) -> dict[int, dict[str, Value]]:
    """The values that the inputs change; none where they don't fit: it failed for that, or will."""
    try:
        return overlay_inputs(wiring.plan, inputs)
    except ValidationFailed:
        return {}


def _from_checkpoint(row: Row[Any]) -> dict[str, Value]:
    is_waiting = row.status == NodeStatus.WAITING
    is_asleep = is_waiting and row.error is None
    return {
        "startedAt": timestamp(row.started_at),
        "completedAt": None if is_waiting else timestamp(row.completed_at),
        "executionTimeMs": None if is_asleep else row.execution_time_ms,
        "retryAt": None if is_asleep else optional_time(row.retry_at),
        "workerId": row.worker_id,
        "error": loaded(row.error),
    }


def as_record(row: Row[Any] | EndedNode) -> Record:
    """A checkpoint or a resolution as the API reads it, as the engine takes it."""
    if row.status == RESOLVED:
        return Resolution(row.node_id, loaded(row.outputs))
    error = loaded(row.error)
    return Checkpoint(
        node_id=row.node_id,
        status=NodeStatus(row.status),
        attempt=row.attempt,
        outputs=loaded(row.outputs),
        error=NodeFailure(error["type"], error["message"]) if error else None,
    )
