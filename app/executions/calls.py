"""The nodes of a run that have another flow run, and wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from app.engine import Start, Wiring
from app.engine.retries import retry_delay_ms
from app.engine.state import as_node_failure
from app.errors import NodeError, NonRetryableError, ValidationFailed
from app.events.wire import timestamp
from app.executions.children import Children, Item
from app.executions.inspection import Inspection
from app.executions.ledger import Ledger
from app.executions.surroundings import Surroundings
from app.executions.timers import CallWait, Timers, Wait
from app.flows import overlay_inputs
from app.nodes.calling import EXECUTION_ID, OUTPUTS, CallingFlow
from app.values.ports import Value


class ChildFailed(NodeError):
    """The execution that the node waited for did not complete."""


@dataclass(frozen=True, slots=True)
class _Target:
    """The flow version that a node wants run."""

    flow_id: str
    version: int
    wiring: Wiring


class Calls:
    """Has flows run for nodes, and gives them what came of it. For the run's own thread."""

    def __init__(
        self,
        around: Surroundings,
        ledger: Ledger,
        timers: Timers,
        children: Children,
    ) -> None:
        self._around = around
        self._ledger = ledger
        self._children = children
        self._timers = timers
        #: What the nodes wait for that have a child.
        self._waits = dict(timers.call_waits())

    def begin(self, start: Start, wanted: CallingFlow, took_ms: int) -> NodeError | None:
        """A node wants a flow run: it waits for that from now on. Gives why it can't, if so."""
        try:
            target = self._target(wanted)
            inputs = self._children.inputs_of(target.wiring, wanted.inputs)
        except (NodeError, ValidationFailed) as error:
            return _as_node_error(error)
        node, ordinal = start.node.index, start.attempt - 1
        item = Item(
            start.node.id,
            # Each attempt has a child of its own.
            ordinal,
            target.flow_id,
            target.version,
            target.wiring,
            inputs,
            counts=True,
        )
        if not wanted.waits:
            id_ = self._children.bear_item(item)
            self._ledger.complete(node, {EXECUTION_ID: id_, OUTPUTS: {}}, took_ms)
            return None
        since = self._around.now()
        wait = CallWait(target.flow_id, target.version, ordinal, timestamp(since))
        self._ledger.suspend(node, wait.as_json(), took_ms, None)
        self._waits[node] = wait
        self._children.bear_item(item)
        return None

    def go_on(self) -> None:
        """Settle the nodes whose children have ended."""
        for node, wait in list(self._waits.items()):
            if not self._children.open_of(self._ledger.id_of(node)):
                del self._waits[node]
                self._finish(node, wait)

    def _finish(self, node: int, wait: CallWait) -> None:
        waited_ms = self._around.ms_since(wait.since)
        try:
            outputs = self._outputs(node, wait)
        except (NodeError, ValidationFailed) as error:
            self._fail(node, _as_node_error(error), waited_ms)
        else:
            self._ledger.end_wait(node, outputs, waited_ms)

    def _outputs(self, node: int, wait: CallWait) -> dict[str, Value]:
        """What the node gives. Raises NodeError, ValidationFailed."""
        [(row, stored)] = self._children.ended(self._ledger.id_of(node), wait.ordinal, 1)
        if row.status != "completed":
            raise ChildFailed(f"execution {row.id} is {row.status}: {row.error_message}")
        given = Inspection(self._around.wiring(wait.flow_id, wait.version), row, stored).outputs()
        outputs: dict[str, Value] = {EXECUTION_ID: row.id, OUTPUTS: given}
        if (oversize := self._ledger.oversize(outputs)) is not None:
            raise oversize
        return outputs

    def _fail(self, node: int, error: NodeError, waited_ms: int) -> None:
        engine = self._ledger.engine
        plan_node, attempt = engine.plan.nodes[node], engine.attempts[node]
        delay_ms = retry_delay_ms(plan_node.retry, attempt, error)
        if delay_ms is None:
            self._ledger.fail_wait(node, as_node_failure(error), waited_ms)
            return
        now = self._around.now()
        at = now + timedelta(milliseconds=delay_ms)
        self._timers.wait(Wait(self._around.clock() + delay_ms / 1000, at, node), attempt)
        self._ledger.defer(node, as_node_failure(error), waited_ms, at, replaces=True)

    def _target(self, wanted: CallingFlow) -> _Target:
        """Check what a node wants. Raises NodeError, ValidationFailed."""
        if (refusal := self._children.over_limits(f"flow '{wanted.flow_id}'", 1)) is not None:
            raise refusal
        version = self._children.version_of(wanted.flow_id)
        wiring = self._around.wiring(wanted.flow_id, version)
        overlay_inputs(wiring.plan, dict(wanted.inputs))
        return _Target(wanted.flow_id, version, wiring)


def _as_node_error(error: NodeError | ValidationFailed) -> NodeError:
    """The error; of what is not valid, with each fault and where it is."""
    if isinstance(error, NodeError):
        return error
    told = "; ".join(f"{fault.pointer}: {fault.message}" for fault in error.faults)
    return NonRetryableError(told)
