"""The children of a run: what its nodes and its further events ask for, and what comes of them.

A child is committed with the checkpoint of the node that asked for it, and its end is told in
the parent with the statement that notes it. So both happen once, whoever dies when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from app.engine import Wiring
from app.errors import Conflict, NodeError, NonRetryableError
from app.events.types import Event, EventType
from app.events.wire import to_json
from app.executions.created_event import Lineage, created_event
from app.executions.ledger import Ledger
from app.executions.opening import events_of
from app.executions.surroundings import Surroundings
from app.flows import seal_inputs
from app.ids import EXECUTION_PREFIX
from app.nodes.emission import Emission
from app.store.records import ChildRow, Claimed, EndedChild, EndedNode, NewChild
from app.values.ports import Value

#: What a parent tells of a child's end.
_ENDS: Mapping[str, EventType] = {
    "completed": EventType.CHILD_COMPLETED,
    "failed": EventType.CHILD_FAILED,
    "stopped": EventType.CHILD_STOPPED,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A child that is to be made by a node ('' for the start), as its `ordinal`-th, for an event."""

    node_id: str
    ordinal: int
    event: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Item:
    """A child that a node wants for one of its items: which, of what flow, with which inputs.

    `counts` says whether it is one of those of which there may be no more than
    MAX_CHILDREN_PER_PARENT.
    """

    node_id: str
    ordinal: int
    flow_id: str
    flow_version: int
    wiring: Wiring
    inputs: str | None
    counts: bool = False


class Children:
    """Makes children, and notes their ends. For the run's own thread."""

    def __init__(self, claimed: Claimed, around: Surroundings, ledger: Ledger) -> None:
        self._claimed = claimed
        self._around = around
        self._ledger = ledger
        #: How deep in the tree its children are.
        self.depth = claimed.depth + 1
        self._further = events_of(claimed)[1:]
        #: How many there are, ever, that count or came as events.
        self._made = claimed.children
        #: The name of each one's event, of those that have not ended as far as is known.
        self._open: dict[str, str | None] = {}
        #: The node that made each of these.
        self._makers: dict[str, str] = {}
        #: Whose end is noted, committed or not.
        self._noted: set[str] = set()

    @property
    def open_ids(self) -> Sequence[str]:
        """Those that have not ended, as far as is known."""
        return list(self._open)

    @property
    def are_open(self) -> bool:
        """Whether there are any. May be asked from any thread."""
        return bool(self._open)

    def open_of(self, node_id: str) -> int:
        """How many of those that a node made have not ended, as far as is known."""
        return sum(maker == node_id for maker in self._makers.values())

    def begin(self) -> None:
        """Make those that come with the start, or see what became of those that there are."""
        if self._claimed.begun:
            engine = self._ledger.engine
            # What a fan-out made isn't counted, and one that failed left those that were open.
            if self._made or engine.waiting or engine.tally.failed:
                self.look()
            return
        self._bear([Wanted("", at, event) for at, event in enumerate(self._further)])

    def refusal(self, emitted: Sequence[Emission]) -> NodeError | None:
        """Why a node may not emit all this; None where it may."""
        if not emitted:
            return None
        what = f"event '{emitted[-1].name}'"
        return self.over_limits(what, len(emitted)) or self._oversize(emitted)

    def over_limits(self, what: str, count: int) -> NodeError | None:
        """Why a node may not have so many children made, for `what`; None where it may."""
        depth, limits = self.depth, self._around.limits
        if depth > limits.depth:
            return NonRetryableError(
                f"{what} would make an execution at depth {depth};"
                f" MAX_EXECUTION_DEPTH is {limits.depth}"
            )
        made = self._made - len(self._further) + count
        if made > limits.children:
            return NonRetryableError(
                f"{what} would make child number {made};"
                f" MAX_CHILDREN_PER_PARENT is {limits.children}"
            )
        return None

    def _oversize(self, emitted: Sequence[Emission]) -> NodeError | None:
        limit = self._around.max_value_bytes
        for name, payload in emitted:
            size = len(to_json(payload))
            if size > limit:
                return NonRetryableError(
                    f"the payload of event '{name}' has {size} bytes of JSON; {limit} are allowed"
                )
        return None

    def emit(self, node: int, emitted: Sequence[Emission]) -> None:
        """A node completed and emitted this (see `refusal`): a child for each event, in order."""
        node_id = self._ledger.id_of(node)
        self._bear(
            [
                Wanted(node_id, at, {"eventName": each.name, "payload": each.payload})
                for at, each in enumerate(emitted)
            ]
        )

    def look(self) -> None:
        """See which of them have ended, and tell it."""
        store, execution_id = self._around.store, self._claimed.fence.execution_id
        rows = self._around.insist(lambda: store.children(execution_id))
        for row in rows:
            if row.id in self._noted:
                continue
            if row.status in _ENDS:
                self._note(row)
            else:
                self._open.setdefault(row.id, row.event_name)
                self._makers[row.id] = row.node_id

    def _note(self, row: ChildRow) -> None:
        self._open.pop(row.id, None)
        self._makers.pop(row.id, None)
        self._noted.add(row.id)
        data: dict[str, Value] = {"childExecutionId": row.id, "eventName": row.event_name}
        if row.status == "failed":
            data["error"] = {"type": "ChildFailed", "message": row.error_message or ""}
        self._ledger.engine.tell(Event(_ENDS[row.status], data))
        self._ledger.writer.note(row.id)

    def _bear(self, wanted: Sequence[Wanted]) -> None:
        """Have these made with the next statement."""
        for each in wanted:
            id_, name = self._around.fresh_id(EXECUTION_PREFIX), str(each.event["eventName"])
            self._made += 1
            self._bear_one(self._new(id_, each, name), name)

    def _bear_one(self, child: NewChild, name: str | None) -> None:
        self._ledger.writer.bear(child)
        self._open[child.id] = name
        self._makers[child.id] = child.node_id
        told: dict[str, Value] = {"childExecutionId": child.id, "eventName": name}
        self._ledger.engine.tell(Event(EventType.CHILD_SPAWNED, told))

    def made_by(self, node_id: str) -> int:
        """How many a node has made, ever."""
        store, execution_id = self._around.store, self._claimed.fence.execution_id
        return self._around.insist(lambda: store.children_made(execution_id, node_id))

    def ended(
        self, node_id: str, first: int, most: int
    ) -> Sequence[tuple[EndedChild, Sequence[EndedNode]]]:
        """Those that a node made and that ended, from its `first`-th on, each with its checkpoints.

        In order; no more than `most`, and fewer where they are large.
        """
        store, execution_id = self._around.store, self._claimed.fence.execution_id
        return self._around.insist(lambda: store.ended_children(execution_id, node_id, first, most))

    def inputs_of(self, wiring: Wiring, inputs: Mapping[str, Mapping[str, Value]]) -> str | None:
        """Write what is laid over a child's flow, no plain secret in it.

        Raises NonRetryableError where there is one and no key.
        """
        vault = self._around.vault
        if vault is not None and wiring.plan.holds_secrets:
            seal = partial(vault.seal, self._claimed.owner_id)
            inputs = seal_inputs(wiring.plan, inputs, seal)
        return to_json(dict(inputs)).decode() if inputs else None

    def version_of(self, flow_id: str) -> int:
        """The version of a flow that children are to run. Raises NonRetryableError."""
        store, insist = self._around.store, self._around.insist
        head = insist(lambda: store.flow_head(flow_id))
        if head is None or head.is_hidden or head.owner_id != self._claimed.owner_id:
            raise NonRetryableError(f"there is no flow '{flow_id}'")
        try:
            insist(lambda: store.bring_version(flow_id, head.version))
        except Conflict as error:
            raise NonRetryableError(error.message) from error
        return head.version

    def bear_item(self, item: Item) -> str:
        """Have the child of an item made; gives its id."""
        id_ = self._around.fresh_id(EXECUTION_PREFIX)
        self._made += item.counts
        created = created_event(
            id_, item.flow_id, item.flow_version, item.wiring.metadata, self._lineage()
        )
        child = NewChild(
            id=id_,
            node_id=item.node_id,
            ordinal=item.ordinal,
            flow_id=item.flow_id,
            flow_version=item.flow_version,
            nodes_total=item.wiring.participation(None).total,
            created_event=created,
            inputs=item.inputs,
            counts=item.counts,
        )
        self._bear_one(child, None)
        return id_

    def _lineage(self) -> Lineage:
        claimed = self._claimed
        return Lineage(
            claimed.owner_id,
            claimed.root_execution_id,
            claimed.fence.execution_id,
            self.depth,
        )

    def _new(self, id_: str, wanted: Wanted, name: str) -> NewChild:
        claimed, wiring = self._claimed, self._ledger.engine.wiring
        flow_id, version = claimed.flow_id, claimed.flow_version
        return NewChild(
            id=id_,
            node_id=wanted.node_id,
            ordinal=wanted.ordinal,
            flow_id=flow_id,
            flow_version=version,
            nodes_total=wiring.participation(name).total,
            created_event=created_event(id_, flow_id, version, wiring.metadata, self._lineage()),
            # The name comes first: only so far is it read when the children are looked at.
            external_events=to_json([{"eventName": name, **wanted.event}]).decode(),
        )
