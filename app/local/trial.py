"""Trying a flow from Python: it runs in threads of this process, and nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import SystemRandom
from types import MappingProxyType
from typing import Any

import orjson

from app.caller import LOCAL
from app.client.shapes import FINAL, Event, Execution, Node
from app.config import NOT_LOCAL, Settings, child_environ, load_settings
from app.errors import NodeDefinitionError, ValidationFailed
from app.events.wire import FIRST_INDEX
from app.executions.flows import FlowService
from app.executions.inspection import Inspection
from app.executions.options import complete, external_events
from app.executions.secrets import SecretService
from app.executions.service import ExecutionService, NewExecution
from app.executions.views import execution_json
from app.ids import id_source
from app.local.process import LocalProcess
from app.nodes.registry import load_catalogue
from app.nodes.sdk import decorated_types, spec_of
from app.nodes.spec import Catalogue, NodeSpec
from app.store.flows import FlowStore
from app.store.secrets import SecretStore
from app.values.ports import Value
from app.values.secrets import masked

#: Timers are looked for so often (ms): a short one should not be waited for long.
SCAN_INTERVAL_MS = 50
#: A wait for news of an execution ends so often (s).
LOOK_EVERY_S = 0.5

#: A node as its author has it: the decorated function or class.
NodeFunction = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class FlowRun:
    """What became of a flow: the execution at its end, its nodes by id, and all events."""

    execution: Execution
    nodes: Mapping[str, Node]
    events: Sequence[Event]

    @property
    def status(self) -> str:
        """`completed`, `failed` or `stopped`."""
        return self.execution.status

    @property
    def outputs(self) -> Mapping[str, Any]:
        """`{node: {port: value}}`, or by the names that the flow gives; empty unless completed."""
        return self.execution.outputs or {}

    @property
    def error_message(self) -> str | None:
        """Why it did not complete."""
        return self.execution.error_message


def run_flow(
    flow: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    integration: Value = None,
    events: Sequence[Mapping[str, Any]] = (),
    nodes: Iterable[NodeFunction] = (),
    secrets: Mapping[str, Value] | None = None,
    timeout_s: float = 60.0,
) -> FlowRun:
    """Run a flow and wait for its end.

    `flow` is a document, `inputs` are `{node id: {port id or path: value}}`, `options` as in
    `POST /executions`, `events` are `{eventName, payload?}` each: the first drives the flow, each
    further one becomes a child execution, and children are waited for; `secrets` what is stored for this run, by name. Node types are those of
    NODE_MODULES and whatever this process decorated; of two by one name that one counts which is
    among `nodes`. Raises ValidationFailed, which names each fault, for what can't be run, and
    TimeoutError.
    """
    settings = replace(local_settings(), recovery_scan_interval_ms=SCAN_INTERVAL_MS)
    process = LocalProcess(settings, catalogue_with(settings, nodes))
    process.start()
    try:
        _store_secrets(process, secrets or {})
        execution_id = _create(process, settings, flow, inputs, options or {}, integration, events)
        _await_end(process, execution_id, timeout_s)
        return _read(process, execution_id)
    except ValidationFailed as error:
        raise naming_faults(error) from None
    finally:
        process.end()


def local_settings() -> Settings:
    """The settings of the environment, in local mode."""
    return load_settings(child_environ(EXECUTION_MODE="local", **NOT_LOCAL))


def catalogue_with(settings: Settings, nodes: Iterable[NodeFunction]) -> Catalogue:
    """The node types that the settings name, what this process decorated, and these."""
    own = [spec_for(target) for target in nodes]
    known = load_catalogue(settings.node_modules, settings.http_node_allow)
    return {**decorated_types(), **known, **{spec.type: spec for spec in own}}


def spec_for(target: NodeFunction) -> NodeSpec:
    """The node type of a decorated function or class. Raises NodeDefinitionError."""
    spec = spec_of(target)
    if spec is None:
        raise NodeDefinitionError(f"{target!r} is no node: decorate it with @node")
    return spec


def naming_faults(error: ValidationFailed) -> ValidationFailed:
    """The same, its faults in the message: there is no body of an answer to hold them."""
    told = "; ".join(f"{fault.pointer}: {fault.message}" for fault in error.faults)
    return ValidationFailed(error.faults, told)


def _store_secrets(process: LocalProcess, secrets: Mapping[str, Value]) -> None:
    store = SecretStore(process.database)
    service = SecretService(store, process.keyring, id_source(SystemRandom()))
    for name, data in secrets.items():
        service.store(LOCAL, name, "string", data)


def _create(
    process: LocalProcess,
    settings: Settings,
    flow: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]] | None,
    options: Mapping[str, Any],
    integration: Value,
    events: Sequence[Mapping[str, Any]],
) -> str:
    """Store the flow and start an execution of it; gives its id."""
    fresh_id = id_source(SystemRandom())
    flows = FlowService(FlowStore(process.database), process.catalogue, fresh_id, process.keyring)
    executions = ExecutionService(
        process.table,
        process.log,
        process.plans,
        process.streams,
        process.streams,
        process.dispatcher,
        fresh_id,
        start_ttl_ms=settings.start_signal_timeout_ms,
        keyring=process.keyring,
    )
    stored = flows.store(dict(flow), LOCAL)
    wanted = NewExecution(
        flow_id=stored["id"],
        flow_version=stored["version"],
        inputs={node: dict(values) for node, values in (inputs or {}).items()},
        options=complete(options),
        integration=integration,
        events=external_events(events),
        autostart=True,
    )
    [created] = executions.create([wanted], LOCAL, lambda _: "")
    return str(created["id"])


def _await_end(process: LocalProcess, execution_id: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    seen = 0
    while (status := process.table.one(execution_id).status) not in FINAL:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"the execution is {status} after {timeout_s:g} s")
        seen = process.streams.await_news(seen, min(left_s, LOOK_EVERY_S))


def _read(process: LocalProcess, execution_id: str) -> FlowRun:
    row = process.table.one(execution_id)
    wiring = process.plans.get(row.flow_id, row.flow_version, _known)
    inspection = Inspection(wiring, row, process.table.checkpoints(execution_id))
    outputs = masked(inspection.outputs()) if row.status == "completed" else None
    nodes = [inspection.node(index, {}) for index in range(inspection.size())]
    events = process.log.read(execution_id, FIRST_INDEX, row.last_event_index + 2)
    return FlowRun(
        Execution.from_json(execution_json(row, outputs)),
        MappingProxyType({node["id"]: Node.from_json(node) for node in nodes}),
        [Event.from_json(orjson.loads(each.envelope)) for each in events],
    )


def _known(_flow_id: str, _version: int) -> str:
    raise AssertionError("the plan of what just ran is known")
