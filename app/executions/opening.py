"""What a run is set up from: its engine, what its nodes are told, their limits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson

from app.engine import (
    Checkpoint,
    Engine,
    Failure,
    NodeFailure,
    NodeStatus,
    Record,
    Resolution,
    RunOptions,
    Wiring,
)
from app.errors import ValidationFailed
from app.events.types import Event, EventType
from app.events.wire import from_json
from app.executions.steps import RunFacts
from app.flows import overlay_inputs
from app.store.records import RESOLVED, Claimed, ClaimedStep, StoredCheckpoint
from app.values.ports import Value

#: What of a claimed row says how the run is set up; a sent step carries the same.
Origin = Claimed | ClaimedStep


def facts_of(origin: Origin) -> RunFacts:
    """What every node of the run is told about it."""
    return RunFacts(
        execution_id=origin.fence.execution_id,
        root_execution_id=origin.root_execution_id,
        owner_id=origin.owner_id,
        integrations=orjson.loads(origin.integration) if origin.integration else {},
        is_child=origin.parent_execution_id is not None,
        event=next(iter(events_of(origin)), None),
        fence=origin.fence,
    )


def new_engine(
    origin: Origin, wiring: Wiring, options: Mapping[str, Any], *, side_by_side: bool
) -> Engine:
    """An engine in which nothing has happened yet.

    `side_by_side` says that whoever reads a stream may run beside the node that sends it.
    """
    execution = options["execution"]
    inputs: Value = orjson.loads(origin.inputs) if origin.inputs else {}
    return Engine(
        wiring,
        RunOptions(
            max_concurrency=execution["maxConcurrency"],
            fail_on_error=execution["onNodeError"] == "fail",
            debug=options["debug"],
            side_by_side=side_by_side,
        ),
        overlay_inputs(wiring.plan, inputs),
        driving_event(events_of(origin)),
    )


def events_of(origin: Origin) -> list[dict[str, Value]]:
    """The events from outside that came with an execution, `{eventName, payload?}` each."""
    return orjson.loads(origin.external_events) if origin.external_events else []


def driving_event(events: Sequence[Mapping[str, Value]] | None) -> str | None:
    """The name of the event that drives an execution: the first one's, None without any."""
    return str(events[0]["eventName"]) if events else None


def restore(
    engine: Engine,
    stored: Iterable[StoredCheckpoint],
    granted: Mapping[str, int],
    elsewhere: Collection[str] = (),
) -> None:
    """Bring an engine to where the checkpoints and resolutions left the run."""
    engine.restore(map(as_record, stored), granted, elsewhere)


def limit_ms(timeout_ms: int | None, options: Mapping[str, Any]) -> int:
    """How long an attempt of a node may take."""
    default: int = options["execution"]["nodeTimeoutMs"]
    return timeout_ms or default


def overdue(options: Mapping[str, Any]) -> Failure:
    """How a run ends whose `flowTimeoutMs` have passed."""
    timeout_ms = options["execution"]["flowTimeoutMs"]
    return Failure(None, NodeFailure("FlowTimeout", f"flow not done within {timeout_ms} ms"))


def refusal(error: ValidationFailed, execution_ms: int) -> tuple[str, list[Event]]:
    """Why a flow that once was valid can't run here any more: the message, and the end's events."""
    reasons = "; ".join(f"{fault.pointer}: {fault.message}" for fault in error.faults)
    message = f"the flow can't run: {reasons}"
    failure = NodeFailure("ValidationError", message).as_json()
    ended = {"executionTimeMs": execution_ms, "errorMessage": message, "errorNodeId": None}
    return message, [
        Event(EventType.FLOW_FAILED, {"executionTimeMs": execution_ms, "error": failure}),
        Event(EventType.EXECUTION_FAILED, ended),
    ]


def as_record(row: StoredCheckpoint) -> Record:
    """A checkpoint or a resolution, as the engine takes it."""
    if row.status == RESOLVED:
        return Resolution(row.node_id, from_json(row.outputs or "{}"))
    error: Mapping[str, str] | None = orjson.loads(row.error) if row.error else None
    return Checkpoint(
        node_id=row.node_id,
        status=NodeStatus(row.status),
        attempt=row.attempt,
        outputs=from_json(row.outputs) if row.outputs else None,
        error=NodeFailure(error["type"], error["message"]) if error else None,
    )
