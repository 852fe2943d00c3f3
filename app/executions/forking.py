"""Forks: new executions that take over what another one has come to.

Of the other one a fork has the flow, the inputs, the options, the integration and the event that
drives it, where the caller gives no others; and the checkpoints of what has ended there and
depends on nothing that runs anew. Its children, signals, waits and attempts it has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Row

from app.caller import Caller
from app.engine import Engine, RunOptions, Wiring
from app.engine.forking import TakenOver, take_over
from app.errors import Conflict, Fault, NotFound, ValidationFailed
from app.executions.created_event import Lineage, created_event
from app.executions.creation import Created, Replayed, replayed
from app.executions.documents import Documents
from app.executions.inspection import as_record
from app.executions.opening import driving_event
from app.executions.options import complete
from app.executions.plans import PlanCache
from app.executions.service import (
    ExecutionService,
    NewExecution,
    Uncompilable,
    faults_of,
    new_row,
    no_execution,
)
from app.executions.views import loaded
from app.flows import overlay_inputs, seal_inputs
from app.flows.changes import changed_nodes
from app.flows.faults import below
from app.flows.plan import Plan, PlanNode
from app.flows.storing import locate
from app.ids import EXECUTION_PREFIX, IdSource
from app.store import records
from app.store.executions import ExecutionTable
from app.store.forks import Forked, ForkTable, KeyTaken, SourceGone
from app.store.keys import KeyTable, RequestKey
from app.values.bounds import Bounds, PatternTime
from app.values.paths import Path
from app.values.ports import Value
from app.vault import Keyring

#: Values by node, then by port or path.
Inputs = Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True, slots=True)
class NewFork:
    """What a caller wants of a fork. What is None, or not named in `options`, is as it was."""

    from_node_id: str | None = None
    flow_version: int | None = None
    inputs: Inputs | None = None
    options: Mapping[str, Any] | None = None
    autostart: bool = False


@dataclass(frozen=True, slots=True)
class _Source:
    """The execution that is forked.

    `wiring` is the plan that it runs by; None where that is another one than the fork's, and
    can't be compiled any more.
    """

    row: Row[Any]
    checkpoints: list[Any]
    wiring: Wiring | None

    def events(self) -> list[dict[str, Value]]:
        """The events of a fork: those that became children of the other one stay there."""
        events: list[dict[str, Value]] = loaded(self.row.external_events) or []
        has_begun = self.row.started_at is not None or bool(self.checkpoints)
        return events[:1] if has_begun else events


class Forking:
    """Forks executions. Every method may raise StoreUnavailable."""

    def __init__(
        self,
        executions: ExecutionService,
        table: ExecutionTable,
        forks: ForkTable,
        keys: KeyTable,
        plans: PlanCache,
        keyring: Keyring,
        fresh_id: IdSource,
        *,
        start_ttl_ms: int,
    ) -> None:
        self._executions = executions
        self._table = table
        self._documents = Documents(table)
        self._forks = forks
        self._keys = keys
        self._plans = plans
        self._keyring = keyring
        self._fresh_id = fresh_id
        self._start_ttl_ms = start_ttl_ms

    def fork(
        self, execution_id: str, wanted: NewFork, caller: Caller, key: RequestKey | None = None
    ) -> Created | Replayed:
        """Fork an execution in whatever status, if the key is new.

        A refused request leaves no key. Raises NotFound, Conflict where its flow was deleted or
        the version wanted of it can't be compiled any more, ValidationFailed, SecretKeyMissing.
        """
        while key is None or (known := self._keys.find(key)) is None:
            row, fork = self._prepare(execution_id, wanted, caller)
            match self._forks.create(row, fork, caller, key):
                case Forked(at):
                    [shown] = self._executions.announce([row], at)
                    return Created([_as_fork(shown, fork)])
                case SourceGone():
                    raise no_execution(execution_id)
                case KeyTaken():
                    pass
        return replayed(key, known)

    def _prepare(
        self, execution_id: str, wanted: NewFork, caller: Caller
    ) -> tuple[records.NewExecution, records.Fork]:
        row = self._seen(execution_id, caller)
        wiring = self._wiring(row, wanted.flow_version)
        former = wiring if wanted.flow_version in {None, row.flow_version} else self._former(row)
        source = _Source(row, list(self._table.checkpoints(execution_id)), former)
        new = self._sealed(self._checked(source, wiring, wanted), wiring, source.row.owner_id)
        taken = _taken_over(source, wiring, wanted, new)
        _refuse_inputs_of(taken.nodes, wanted.inputs or {})
        tally, nodes = taken.engine.tally, list(taken.nodes)
        fork = records.Fork(
            execution_id,
            nodes,
            records.Progress(tally.completed, tally.failed, tally.skipped),
        )
        return self._row(source, new, wiring, nodes), fork

    def _seen(self, execution_id: str, caller: Caller) -> Row[Any]:
        row = self._table.one(execution_id)
        if row is None or not caller.may_see(row.owner_id):
            raise no_execution(execution_id)
        return row

    def _wiring(self, row: Row[Any], version: int | None) -> Wiring:
        """The plan that the fork runs by."""
        head = self._table.flow_head(row.flow_id)
        if head is None or head.is_hidden:
            raise Conflict("The flow of the execution was deleted.")
        if version is None or version == row.flow_version:
            return self._plan(row.flow_id, row.flow_version, self._documents.of_run)
        if version > head.version:
            raise NotFound(f"Flow '{row.flow_id}' has no version {version}")
        return self._plan(row.flow_id, version, self._documents.to_run)

    def _former(self, row: Row[Any]) -> Wiring | None:
        """The plan that the execution runs by, if it can be compiled."""
        try:
            return self._plans.get(row.flow_id, row.flow_version, self._documents.of_run)
        except ValidationFailed:
            # Which is what the flow may have been mended for.
            return None

    def _plan(self, flow_id: str, version: int, read: Callable[[str, int], str]) -> Wiring:
        try:
            return self._plans.get(flow_id, version, read)
        except ValidationFailed as error:
            raise Uncompilable(error) from error

    def _checked(self, source: _Source, wiring: Wiring, wanted: NewFork) -> NewExecution:
        """What is created, without fault. Raises ValidationFailed."""
        row, plan = source.row, wiring.plan
        new = NewExecution(
            flow_id=row.flow_id,
            flow_version=wanted.flow_version or row.flow_version,
            inputs=_laid_over(plan, loaded(row.inputs) or {}, wanted.inputs or {}),
            options=_options(plan, loaded(row.options), wanted.options or {}),
            integration=loaded(row.integration),
            events=source.events(),
            autostart=wanted.autostart,
        )
        faults = faults_of(new, wiring, Bounds(PatternTime()))
        if wanted.from_node_id is not None and wanted.from_node_id not in plan.index_of:
            message = f"the flow has no node '{wanted.from_node_id}'"
            faults.append(Fault("/fromNodeId", message))
        if faults:
            raise ValidationFailed(faults)
        return new

    def _sealed(self, new: NewExecution, wiring: Wiring, owner: str) -> NewExecution:
        if not new.inputs or not wiring.plan.holds_secrets:
            return new
        seal = partial(self._keyring.seal, owner)
        return replace(new, inputs=seal_inputs(wiring.plan, new.inputs, seal))

    def _row(
        self, source: _Source, new: NewExecution, wiring: Wiring, nodes: list[str]
    ) -> records.NewExecution:
        id_, owner = self._fresh_id(EXECUTION_PREFIX), source.row.owner_id
        version = new.flow_version or source.row.flow_version
        told = created_event(
            id_,
            new.flow_id,
            version,
            wiring.metadata,
            Lineage(owner, id_),
            forked={"forkedFrom": source.row.id, "takenOver": nodes},
        )
        row = new_row(id_, new, version, owner, wiring, self._start_ttl_ms)
        return replace(row, created_event=told)


def _taken_over(source: _Source, wiring: Wiring, wanted: NewFork, new: NewExecution) -> TakenOver:
    plan = wiring.plan
    options = RunOptions(fail_on_error=new.options["execution"]["onNodeError"] == "fail")
    inputs, event = overlay_inputs(plan, new.inputs or {}), driving_event(new.events)
    anew = {*_changed(source.wiring, wiring), *_given_templates(plan, wanted.inputs or {})}
    if wanted.from_node_id is not None:
        anew.add(plan.index_of[wanted.from_node_id])
    return take_over(
        lambda: Engine(wiring, options, inputs, event),
        [as_record(each) for each in source.checkpoints],
        anew,
        with_failures=wanted.from_node_id is not None,
    )


def _changed(former: Wiring | None, wiring: Wiring) -> Iterable[int]:
    """The nodes that are others than before: all of them, where that isn't known."""
    if former is None:
        return range(len(wiring.plan.nodes))
    return () if former is wiring else changed_nodes(former.plan, wiring.plan)


def _given_templates(plan: Plan, inputs: Inputs) -> Iterator[int]:
    """The templates with inputs: they have no checkpoint that would be taken over."""
    for node_id in inputs:
        index = plan.index_of[node_id]
        if plan.nodes[index].is_template:
            yield index


def _refuse_inputs_of(taken_over: Iterable[str], inputs: Inputs) -> None:
    """Refuse inputs that nothing would come of. Raises ValidationFailed."""
    message = "is taken over: only what runs anew has inputs; fromNodeId says from where on"
    kept = set(taken_over)
    faults = [
        Fault(below("/inputs", node_id), f"node '{node_id}' {message}")
        for node_id in inputs
        if node_id in kept
    ]
    if faults:
        raise ValidationFailed(faults)


def _options(plan: Plan, former: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """What is named, over what there was. Raises ValidationFailed."""
    breakpoints = [node_id for node_id in former["breakpoints"] if node_id in plan.index_of]
    limits = named.get("execution", {})
    if isinstance(limits, Mapping):
        limits = {**former["execution"], **limits}
    return complete({**former, "breakpoints": breakpoints, **named, "execution": limits})


def _laid_over(plan: Plan, former: Inputs, given: Inputs) -> dict[str, dict[str, Value]] | None:
    """What is given, over what there was, as far as the flow still has a place for that."""
    merged = {
        node_id: dict(_still_there(plan.nodes[plan.index_of[node_id]], ports, given.get(node_id)))
        for node_id, ports in former.items()
        if node_id in plan.index_of
    }
    for node_id, ports in given.items():
        merged[node_id] = {**merged.get(node_id, {}), **ports}
    # What names no node of the flow stays, however empty, to be refused.
    kept = {id_: ports for id_, ports in merged.items() if ports or id_ not in plan.index_of}
    return kept or None


def _still_there(
    node: PlanNode, ports: Mapping[str, Value], given: Mapping[str, Value] | None
) -> Iterator[tuple[str, Value]]:
    """The values that the node has a port for, and none is given that replaces them."""
    replaced = [path for name in given or () if (path := _path(node, name)) is not None]
    for name, value in ports.items():
        path = _path(node, name)
        if path is not None and not _is_within(path, replaced):
            yield name, value


def _path(node: PlanNode, name: str) -> Path | None:
    place = locate(node.ports, name)
    if place is None or not node.ports[str(place[0][0])].takes_input:
        return None
    return place[0]


def _is_within(path: Path, places: Iterable[Path]) -> bool:
    return any(path[: len(place)] == place for place in places)


def _as_fork(shown: dict[str, Value], fork: records.Fork) -> dict[str, Value]:
    done = fork.progress
    counted = {"completed": done.completed, "failed": done.failed, "skipped": done.skipped}
    return {
        **shown,
        "forkedFrom": fork.source_id,
        "progress": {**shown["progress"], **counted},
    }
