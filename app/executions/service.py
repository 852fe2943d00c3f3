"""What can be done with executions: create, start, look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import orjson
from sqlalchemy import Row

from app.caller import Caller
from app.engine import Wiring
from app.errors import Conflict, Fault, Forbidden, NotFound, ValidationFailed
from app.events.fitting import fit_outputs
from app.events.types import EventType
from app.events.wire import FIRST_INDEX, envelopes, to_json
from app.executions.created_event import Lineage, created_event
from app.executions.documents import Documents
from app.executions.inspection import Inspection
from app.executions.opening import driving_event
from app.executions.plans import PlanCache
from app.executions.views import FINAL, created_row, execution_json
from app.flows import overlay_inputs, seal_inputs
from app.ids import EXECUTION_PREFIX, IdSource
from app.store import records
from app.store.events import EventLog
from app.store.executions import ExecutionTable
from app.store.flow_lookup import FlowHead
from app.streams.protocol import Batch, Publisher, SignalBox
from app.values.bounds import Bounds, PatternTime
from app.values.ports import Value
from app.values.secrets import masked
from app.vault import NO_KEY, Keyring

#: Free-form context of an execution, at most (bytes of JSON).
MAX_INTEGRATION_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class NewExecution:
    """What a caller wants run. `options` are complete; `inputs`, `events` as in docs/api.md."""

    flow_id: str
    flow_version: int | None
    inputs: dict[str, Value] | None
    options: dict[str, Value]
    integration: Value | None
    events: list[dict[str, Value]] | None
    autostart: bool


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in order; `next_index` is where the next page begins, `end` whether there is none."""

    events: Sequence[Value]
    next_index: int
    end: bool


class Dispatcher(Protocol):
    """Sends messages that wake workers; each is a hint and may be lost."""

    def room(self, wanted: int) -> int:
        """How many of so many messages may be sent: no more than there are slots to wake."""
        ...

    def unoffered(self, execution_ids: Sequence[str]) -> Sequence[str]:
        """Offer executions to processes that linger; gives those to send messages for."""
        ...

    def send(self, execution_ids: Sequence[str]) -> None:
        """Send the chain of each execution."""
        ...

    def hint(self, execution_ids: Sequence[str]) -> None:
        """Tell workers of executions that may be claimed, in the order of claiming."""
        ...


class Uncompilable(Conflict):
    """The flow of the execution can't be compiled here any more."""

    def __init__(self, error: ValidationFailed) -> None:
        # In words: a list of faults would point into a body that nobody sent.
        found = "; ".join(f"{fault.pointer}: {fault.message}" for fault in error.faults)
        super().__init__(f"The flow of the execution can't be compiled here any more: {found}")


class ExecutionService:
    """The use cases of executions. Every method may raise StoreUnavailable.

    `on_created` hears of those that were created.
    """

    def __init__(
        self,
        table: ExecutionTable,
        log: EventLog,
        plans: PlanCache,
        publisher: Publisher,
        signals: SignalBox,
        dispatcher: Dispatcher,
        fresh_id: IdSource,
        *,
        start_ttl_ms: int,
        keyring: Keyring = NO_KEY,
        on_created: Callable[[Sequence[str]], object] | None = None,
        publishes: bool = True,
    ) -> None:
        self._on_created = on_created
        self._keyring = keyring
        self._publishes = publishes
        self._table = table
        self._documents = Documents(table)
        self._log = log
        self._plans = plans
        self._publisher = publisher
        self._signals = signals
        self._dispatcher = dispatcher
        self._fresh_id = fresh_id
        self._start_ttl_ms = start_ttl_ms

    def create(
        self, requests: Sequence[NewExecution], caller: Caller, pointer: Callable[[int], str]
    ) -> list[dict[str, Value]]:
        """Create executions, all or none, and dispatch their chains.

        `pointer` gives where the body of the n-th one stands in the request. Raises NotFound,
        Forbidden, ValidationFailed, SecretKeyMissing.
        """
        rows = self.prepare(requests, caller, pointer)
        return self.announce(rows, self._table.create(rows))

    def prepare(
        self, requests: Sequence[NewExecution], caller: Caller, pointer: Callable[[int], str]
    ) -> Sequence[records.NewExecution]:
        """Check what is wanted and make rows of it. Raises as `create` does."""
        # Ids of one call are in the order of the call: of the same age, they are claimed so.
        ids = sorted(self._fresh_id(EXECUTION_PREFIX) for _ in requests)
        flows: dict[str, FlowHead] = {}
        # A thousand executions must not each take the time that the patterns of one may.
        bounds = Bounds(PatternTime())
        faults: list[Fault] = []
        rows = []
        for place, (execution_id, wanted) in enumerate(zip(ids, requests, strict=True)):
            flow = self._flow(wanted.flow_id, caller, flows)
            version = wanted.flow_version or flow.version
            wiring = self._wiring(wanted, version, flow)
            found = faults_of(wanted, wiring, bounds)
            faults += [Fault(pointer(place) + fault.pointer, fault.message) for fault in found]
            # Its nodes run with the rights of the flow's owner, whoever has them run.
            owner = flow.owner_id
            # Inputs at fault fit no port, and no row will be made of them.
            kept = wanted if found else self._sealed(wanted, wiring, owner)
            rows.append(new_row(execution_id, kept, version, owner, wiring, self._start_ttl_ms))
        if faults:
            raise ValidationFailed(faults)
        return rows

    def announce(
        self, rows: Sequence[records.NewExecution], at: datetime
    ) -> list[dict[str, Value]]:
        """Publish and dispatch executions that were created at this time, and show them."""
        if self._on_created is not None:
            self._on_created([row.id for row in rows])
        if self._publishes:
            self._publisher.publish_many(_birth(row, at) for row in rows)
        self._dispatch(rows)
        return [execution_json(created_row(row, at)) for row in rows]

    def start(self, execution_id: str, caller: Caller) -> dict[str, Value]:
        """Send the start signal. Raises NotFound, Conflict."""
        if not self._table.request_start(execution_id, caller):
            row = self._own(execution_id, caller)
            already = row.status == "created"
            what = "twice" if already else f"in status {row.status}"
            raise Conflict(f"Cannot start execution {what}")
        self._signals.set_start(execution_id, self._start_ttl_ms)
        # A message that was marked may have been one too many for the broker: offered is it anyhow.
        is_left = self._dispatcher.unoffered([execution_id])
        if is_left and not self._signals.mark_message(execution_id):
            self._dispatcher.send([execution_id])
        row = self._own(execution_id, caller)
        return execution_json(row, limit=self._table.limit_reached([row]))

    def get(self, execution_id: str, caller: Caller) -> dict[str, Value]:
        """Show an execution, with its outputs once it is completed. Raises NotFound.

        Where its flow can't be compiled here any more, its outputs are null.
        """
        row = self._own(execution_id, caller)
        outputs = self._outputs(row) if row.status == "completed" else None
        return execution_json(row, outputs, limit=self._table.limit_reached([row]))

    def check(self, execution_id: str, caller: Caller) -> None:
        """Raise NotFound unless the caller sees such an execution."""
        self._own(execution_id, caller)

    def signals(self, execution_id: str) -> list[tuple[str | None, str]]:
        """Node and name of each of its signals; None for a node where it is kept."""
        return self._table.signals(execution_id)

    def children(self, execution_id: str) -> list[tuple[str, str]]:
        """The nodes with children whose ends are not told yet, with each state of such a child."""
        return self._table.children(execution_id)

    def inspect(self, execution_id: str, caller: Caller) -> Inspection:
        """Look into an execution. Raises NotFound.

        This and all that shows nodes raise Conflict where its flow can't be compiled here any
        more: a node type is gone, say.
        """
        return self._inspect(self._own(execution_id, caller))

    def many(self, execution_ids: Sequence[str], caller: Caller) -> list[dict[str, Value]]:
        """Show executions, without their outputs, in this order. Raises NotFound."""
        rows = {
            row.id: row for row in self._table.many(execution_ids) if caller.may_see(row.owner_id)
        }
        for execution_id in execution_ids:
            if execution_id not in rows:
                raise no_execution(execution_id)
        limit = self._table.limit_reached(rows.values())
        return [execution_json(rows[execution_id], limit=limit) for execution_id in execution_ids]

    def nodes(
        self, execution_id: str, caller: Caller, *, limit: int, offset: int
    ) -> Sequence[dict[str, Value]]:
        """Show nodes in document order, large values left out. Raises NotFound."""
        row = self._own(execution_id, caller)
        inspection = self._inspect(row)
        started_at = self._started_at(inspection, execution_id)
        last = min(offset + limit, inspection.size())
        nodes = [inspection.node(index, started_at) for index in range(offset, last)]
        return [_fitted(execution_id, node) for node in nodes]

    def node(self, execution_id: str, caller: Caller, node_id: str) -> dict[str, Value]:
        """Show one node, values in full. Raises NotFound."""
        inspection = self._inspect(self._own(execution_id, caller))
        index = inspection.index_of(node_id)
        if index is None:
            raise NotFound(f"There is no node '{node_id}' in the execution")
        return inspection.node(index, self._started_at(inspection, execution_id))

    def events(
        self,
        execution_id: str,
        caller: Caller,
        *,
        from_index: int,
        limit: int,
        types: frozenset[str] | None,
    ) -> EventPage:
        """Read a page of events. Raises NotFound."""
        head = self._log.head(execution_id)
        if head is None or not caller.may_see(head.owner_id):
            raise no_execution(execution_id)
        stored = self._log.read(execution_id, from_index, limit, types, up_to=head.last_event_index)
        is_full = len(stored) == limit
        past_all = max(from_index, head.last_event_index + 1)
        next_index = stored[-1].index + 1 if is_full else past_all
        is_end = head.status in FINAL and next_index > head.last_event_index
        return EventPage([orjson.loads(event.envelope) for event in stored], next_index, is_end)

    # -- what the above are made of

    def _dispatch(self, rows: Sequence[records.NewExecution]) -> None:
        """Wake slots for these, no more than there are; the rest is found in the backlog."""
        started = [row.id for row in rows if row.start_requested]
        waiting = [row.id for row in rows if not row.start_requested]
        woken = [*self._dispatcher.unoffered(started)] if started else []
        if waiting:
            woken += waiting[: self._dispatcher.room(len(waiting))]
        if woken:
            self._signals.announce(woken, frozenset(started), self._start_ttl_ms)
            self._dispatcher.send(woken)

    def _sealed(self, wanted: NewExecution, wiring: Wiring, owner: str) -> NewExecution:
        """The same, its inputs without any plain secret."""
        if not wanted.inputs or not wiring.plan.holds_secrets:
            return wanted
        seal = partial(self._keyring.seal, owner)
        return replace(wanted, inputs=seal_inputs(wiring.plan, wanted.inputs, seal))

    def _flow(self, flow_id: str, caller: Caller, known: dict[str, FlowHead]) -> FlowHead:
        if flow_id not in known:
            head = self._table.flow_head(flow_id)
            if head is None or head.is_hidden:
                raise NotFound(f"There is no flow '{flow_id}'")
            if not caller.may_see(head.owner_id):
                raise Forbidden("User does not own this flow")
            known[flow_id] = head
        return known[flow_id]

    def _wiring(self, wanted: NewExecution, version: int, flow: FlowHead) -> Wiring:
        if version > flow.version:
            raise NotFound(f"Flow '{wanted.flow_id}' has no version {version}")
        return self._plans.get(wanted.flow_id, version, self._documents.to_run)

    def _own(self, execution_id: str, caller: Caller) -> Row[Any]:
        row = self._table.one(execution_id)
        if row is None or not caller.may_see(row.owner_id):
            raise no_execution(execution_id)
        return row

    def _inspect(self, row: Row[Any]) -> Inspection:
        try:
            wiring = self._plans.get(row.flow_id, row.flow_version, self._documents.of_run)
        except ValidationFailed as error:
            raise Uncompilable(error) from error
        return Inspection(wiring, row, self._table.checkpoints(row.id))

    def _outputs(self, row: Row[Any]) -> Value:
        try:
            return masked(self._inspect(row).outputs())
        except Uncompilable:
            return None

    def _started_at(self, inspection: Inspection, execution_id: str) -> Mapping[str, datetime]:
        return self._table.started_at(execution_id) if inspection.has_running_nodes else {}


def no_execution(execution_id: str) -> NotFound:
    """What is raised for an execution that isn't there, or isn't the caller's."""
    return NotFound(f"There is no execution '{execution_id}'")


def _birth(row: records.NewExecution, at: datetime) -> Batch:
    created = [(EventType.EXECUTION_CREATED, row.created_event)]
    return Batch(row.id, FIRST_INDEX, envelopes(row.id, FIRST_INDEX, at, created))


def faults_of(wanted: NewExecution, wiring: Wiring, bounds: Bounds) -> list[Fault]:
    """What is wrong with what is wanted of a flow."""
    faults = []
    try:
        overlay_inputs(wiring.plan, wanted.inputs or {}, bounds)
    except ValidationFailed as error:
        faults += error.faults
    faults += [
        Fault(f"/options/breakpoints/{place}", f"the flow has no node '{node_id}'")
        for place, node_id in enumerate(wanted.options["breakpoints"])
        if node_id not in wiring.plan.index_of
    ]
    if wanted.integration is not None and len(to_json(wanted.integration)) > MAX_INTEGRATION_BYTES:
        faults.append(Fault("/integration", f"must be at most {MAX_INTEGRATION_BYTES} bytes"))
    return faults


def new_row(
    execution_id: str,
    wanted: NewExecution,
    version: int,
    owner: str,
    wiring: Wiring,
    start_timeout_ms: int,
) -> records.NewExecution:
    """Make a row of what is wanted, and is without fault."""
    lineage = Lineage(owner, execution_id)
    metadata = wiring.metadata
    return records.NewExecution(
        id=execution_id,
        flow_id=wanted.flow_id,
        flow_version=version,
        owner_id=owner,
        priority=wanted.options["priority"],
        options=to_json(wanted.options).decode(),
        inputs=_optional_json(wanted.inputs),
        integration=_optional_json(wanted.integration),
        start_requested=wanted.autostart,
        start_timeout_ms=None if wanted.autostart else start_timeout_ms,
        nodes_total=wiring.participation(driving_event(wanted.events)).total,
        created_event=created_event(execution_id, wanted.flow_id, version, metadata, lineage),
        external_events=_optional_json(wanted.events or None),
    )


def _optional_json(value: Value) -> str | None:
    return None if value is None else to_json(value).decode()


def _fitted(execution_id: str, node: dict[str, Value]) -> dict[str, Value]:
    for side in ("inputs", "outputs"):
        if node[side] is not None:
            node[side] = fit_outputs(execution_id, node["id"], node[side])
    return node
