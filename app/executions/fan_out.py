"""The nodes of a run that have a flow run for each of their items.

An item's child is made by a guarded statement of its parent, which numbers it by the item's place;
how many there are, and which have not ended, is read from their rows. So nothing is kept besides
of how far a node has come, and each item is run once, whoever dies when. What came of them all is
read once, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.engine import Wiring
from app.engine.state import as_node_failure
from app.errors import NonRetryableError, ValidationFailed
from app.events.wire import timestamp, to_json
from app.executions.children import Children, Item
from app.executions.inspection import Inspection
from app.executions.ledger import Ledger
from app.executions.surroundings import Surroundings
from app.executions.timers import FanOutWait, Timers
from app.flows.plan import Plan
from app.flows.reading import MAX_ID
from app.flows.storing import locate
from app.nodes.fan_out import ERRORS, FAILED, ITEMS, RESULTS, FanningOut
from app.values.ports import Value

#: The checkpoints of so many children are read at a time, with all that their nodes gave; of
#: fewer where they are large.
BATCH = 20

#: Characters of an `itemTarget` that a message tells.
TOLD_LENGTH = 200


@dataclass(slots=True)
class _Fan:
    """A node that fans out: its plan, its items, and the place of the next that has no child."""

    node: int
    node_id: str
    plan: FanOutWait
    items: Sequence[Value]
    next: int


class _Array:
    """An output that is read item by item, and refused as soon as it is too large."""

    def __init__(self, port: str, most_bytes: int) -> None:
        self.items: list[Value] = []
        self._port = port
        self._most_bytes = most_bytes
        self._bytes = len("[")

    def add(self, item: Value) -> None:
        """Add an item. Raises NonRetryableError."""
        self._bytes += len(to_json(item)) + len(",")
        if self._bytes > self._most_bytes:
            raise NonRetryableError(
                f"output '{self._port}' has more than the {self._most_bytes} bytes of JSON"
                " that are allowed"
            )
        self.items.append(item)


class FanOuts:
    """Has children made as others end, and gathers what came of them. For the run's own thread."""

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
        self._fans = {
            node: self._restored(node, plan) for node, plan in timers.fan_out_waits().items()
        }

    def begin(self, node: int, wanted: FanningOut, took_ms: int) -> None:
        """A node wants children: it waits for them from now on, or fails."""
        items = self._items(node)
        try:
            plan = self._plan(wanted, items)
        except (NonRetryableError, ValidationFailed) as error:
            self._ledger.fail(node, as_node_failure(error), took_ms)
            return
        self._ledger.suspend(node, plan.as_json(), took_ms, None)
        self._fans[node] = _Fan(node, self._ledger.id_of(node), plan, items, 0)
        self.go_on()

    def go_on(self) -> None:
        """Make children for those that have ended; complete the nodes that have all of theirs."""
        request = self._ledger.writer.request
        if request is not None and request.command == "pause":
            return
        for fan in list(self._fans.values()):
            try:
                self._spawn(fan)
                if fan.next == len(fan.items) and not self._children.open_of(fan.node_id):
                    self._finish(fan)
            except (NonRetryableError, ValidationFailed) as error:
                # Too much came of it; or the flow can't run here any more: a node type is gone, or
                # the SECRET_KEY.
                del self._fans[fan.node]
                waited_ms = self._around.ms_since(fan.plan.since)
                self._ledger.fail_wait(fan.node, as_node_failure(error), waited_ms)

    def _spawn(self, fan: _Fan) -> None:
        free = fan.plan.concurrency - self._children.open_of(fan.node_id)
        first, fan.next = fan.next, min(len(fan.items), fan.next + max(0, free))
        for place in range(first, fan.next):
            item = Item(
                fan.node_id,
                place,
                fan.plan.flow_id,
                fan.plan.version,
                self._wiring(fan.plan),
                self._inputs(fan.plan, fan.items[place]),
            )
            self._children.bear_item(item)

    def _inputs(self, plan: FanOutWait, item: Value) -> str | None:
        if plan.target is None:
            return None
        node_id, port = plan.target
        return self._children.inputs_of(self._wiring(plan), {node_id: {port: item}})

    # -- beginning

    def _plan(self, wanted: FanningOut, items: Sequence[Value]) -> FanOutWait:
        """Check what a node wants. Raises NonRetryableError, ValidationFailed."""
        limits, depth = self._around.limits, self._children.depth
        if len(items) > limits.items:
            raise NonRetryableError(
                f"items has {len(items)} items; MAX_ITEMS_PER_FOREACH is {limits.items}"
            )
        if depth > limits.depth:
            raise NonRetryableError(
                f"its executions would be at depth {depth}; MAX_EXECUTION_DEPTH is {limits.depth}"
            )
        version = self._children.version_of(wanted.flow_id)
        since = self._around.now()
        plan = FanOutWait(wanted.flow_id, version, None, wanted.concurrency, timestamp(since))
        if not wanted.target:
            return plan
        return plan._replace(target=_place(self._wiring(plan).plan, wanted.target))

    def _restored(self, node: int, plan: FanOutWait) -> _Fan:
        node_id = self._ledger.id_of(node)
        return _Fan(node, node_id, plan, self._items(node), self._children.made_by(node_id))

    def _items(self, node: int) -> Sequence[Value]:
        items = self._ledger.engine.inputs(node).get(ITEMS)
        return items if isinstance(items, list) else []

    # -- ending

    def _finish(self, fan: _Fan) -> None:
        outputs = self._outputs(fan)
        del self._fans[fan.node]
        self._ledger.end_wait(fan.node, outputs, self._around.ms_since(fan.plan.since))

    def _outputs(self, fan: _Fan) -> dict[str, Value]:
        """What the node gives. Raises NonRetryableError, ValidationFailed."""
        results = _Array(RESULTS, self._around.max_value_bytes)
        errors = _Array(ERRORS, self._around.max_value_bytes)
        place = 0
        while place < len(fan.items) and (
            children := self._children.ended(fan.node_id, place, BATCH)
        ):
            place += len(children)
            for row, stored in children:
                if row.status == "completed":
                    results.add(Inspection(self._wiring(fan.plan), row, stored).outputs())
                else:
                    results.add(None)
                    message = row.error_message or row.status
                    errors.add({"index": row.ordinal, "executionId": row.id, "message": message})
        return {RESULTS: results.items, FAILED: len(errors.items), ERRORS: errors.items}

    def _wiring(self, plan: FanOutWait) -> Wiring:
        return self._around.wiring(plan.flow_id, plan.version)


def _place(plan: Plan, target: str) -> tuple[str, str]:
    """Split `node.port` after the longest node id that fits. Raises NonRetryableError."""
    if "\0" in target:
        # It will stand in the checkpoint, where PostgreSQL's operators look into plans.
        raise NonRetryableError("itemTarget must not hold the character NUL")
    # No node id is longer: a target of nothing but dots would be cut at each of them.
    cut = target.rfind(".", 0, MAX_ID + 1)
    while cut > 0:
        node_id, port = target[:cut], target[cut + 1 :]
        number = plan.index_of.get(node_id)
        if number is not None:
            ports = plan.nodes[number].ports
            located = locate(ports, port)
            if located is None or not ports[str(located[0][0])].takes_input:
                told = port[:TOLD_LENGTH]
                raise NonRetryableError(f"itemTarget: node '{node_id}' has no input '{told}'")
            return node_id, port
        cut = target.rfind(".", 0, cut)
    told = target[:TOLD_LENGTH]
    raise NonRetryableError(f"itemTarget: '{told}' names no node of the flow and its port")
