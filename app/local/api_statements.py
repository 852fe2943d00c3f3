"""What the statements of the API do, one function each: executions, events, flows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from psycopg2.errors import UniqueViolation

from app.local.rows import EventBatchRow, ExecutionRow, FlowRow, FlowVersionRow
from app.local.run_statements import backlog
from app.local.turn import Handler, Rows, Turn
from app.store import appending, events, executions, flow_lookup, flows, run_statements

# -- executions


def create_executions(turn: Turn, *columns: Sequence[Any]) -> Rows:
    """Create any number of executions, each with its first event."""
    rows = list(zip(*columns, strict=True))
    ids = [row[0] for row in rows]
    if len(set(ids)) < len(ids) or any(turn.row(id_) is not None for id_ in ids):
        raise UniqueViolation("pk_chaingraph_executions")
    for row in rows:
        _create(turn, *row)
    return [(turn.at,) for _ in rows]


def _create(
    turn: Turn,
    id_: str,
    flow_id: str,
    flow_version: int,
    owner_id: str,
    priority: int,
    options: str,
    inputs: str | None,
    integration: str | None,
    start_requested: bool,
    start_timeout_ms: int | None,
    nodes_total: int,
    created_event: str,
    external_events: str | None,
) -> None:
    at = turn.at
    started = at if start_requested else None
    waits = start_timeout_ms is not None and not start_requested
    turn.tables.executions[id_] = ExecutionRow(
        id=id_,
        flow_id=flow_id,
        flow_version=flow_version,
        owner_id=owner_id,
        root_execution_id=id_,
        priority=priority,
        created_at=at,
        options=options,
        inputs=inputs,
        integration=integration,
        external_events=external_events,
        start_requested_at=started,
        runnable_at=started,
        wake_at=turn.after(start_timeout_ms or 0) if waits else None,
        nodes_total=nodes_total,
        updated_at=at,
    )
    turn.tables.event_batches[id_] = [
        EventBatchRow(
            execution_id=id_,
            first_index=-1,
            written_at=at,
            types=["execution:created"],
            data=f"[{created_event}]",
        )
    ]


def request_start(
    turn: Turn, execution: str, _who: str | None, _token: str | None, owner: str | None
) -> Rows:
    """Request the start, once."""
    row = turn.row(execution)
    if row is None or owner not in {None, row.owner_id} or not turn.guards.may_start(row):
        return []
    row.start_requested_at = row.runnable_at = turn.at
    row.wake += 1
    row.wake_at = row.waiting = None
    return [(execution,)]


def next_runnable(turn: Turn) -> Rows:
    """The first of the backlog."""
    return [(row.id,) for row in backlog(turn)[:1]]


def started_nodes(turn: Turn, execution: str) -> Rows:
    """When each node last started, as its events tell."""
    started: dict[str, datetime] = {}
    for batch in turn.tables.event_batches.get(execution, ()):
        for type_, data in zip(batch.types, batch.texts, strict=True):
            if type_ == "node:started":
                started[orjson.loads(data)["nodeId"]] = batch.written_at
    return list(started.items())


def flow_head(turn: Turn, flow: str) -> Rows:
    """What create must know of a flow."""
    row = turn.tables.flows.get(flow)
    return [] if row is None else [(row.owner_id, row.version, row.hidden_at is not None)]


# -- events


def read_events(
    turn: Turn,
    execution: str,
    first: int,
    last: int,
    limit: int,
    types: Collection[str] | None = None,
) -> Rows:
    """Events from an index to another, in order; only those of the types, if given."""
    rows: Rows = []
    for index, type_, at, data in _log(turn.tables.event_batches.get(execution, ()), first):
        if index > last or len(rows) == limit:
            break
        if index >= first and (types is None or type_ in types):
            rows.append((index, type_, at, data))
    return rows


def _log(batches: Sequence[EventBatchRow], first: int) -> Iterator[tuple[int, str, datetime, str]]:
    for batch in batches:
        if batch.first_index + len(batch.types) > first:
            for place, (type_, data) in enumerate(zip(batch.types, batch.texts, strict=True)):
                yield batch.first_index + place, type_, batch.written_at, data


def event_heads(turn: Turn, ids: Collection[str]) -> Rows:
    """How far the logs of executions reach."""
    rows = [turn.row(id_) for id_ in ids]
    return [(row.id, row.last_event_index, row.status, row.owner_id) for row in rows if row]


def find_batch(turn: Turn, execution: str, at: datetime, types: list[str], data: str) -> Rows:
    """Where a write's events stand in the log."""
    found = [
        batch.first_index
        for batch in turn.tables.event_batches.get(execution, ())
        if (batch.written_at, list(batch.types), batch.data) == (at, types, data)
    ]
    return [(first,) for first in found[-1:]]


def append_events(turn: Turn, execution: str, types: list[str], data: str) -> Rows:
    """Events from outside of a run."""
    row = turn.row(execution)
    if row is None or row.completed_at is not None:
        return []
    batch = turn.tell(row, types, data, turn.at_ms)
    return [(batch.first_index, batch.written_at)]


# -- flows


def store_flow(turn: Turn, flow: str, owner: str, name: str, document: str, *_by: object) -> Rows:
    """A new flow, or the owner's next version."""
    row = turn.tables.flows.get(flow)
    if row is None:
        row = turn.tables.flows[flow] = FlowRow(
            id=flow, owner_id=owner, name=name, version=0, created_at=turn.at, updated_at=turn.at
        )
    elif row.owner_id != owner:
        return []
    row.hidden_at = None
    return _add_version(turn, row, name, document, turn.at)


def replace_flow(
    turn: Turn,
    flow: str,
    owner: str | None,
    name: str,
    document: str,
    expected: Sequence[int] | None,
    *_by: object,
) -> Rows:
    """The next version, if the present one is among those expected."""
    row = _shown(turn, flow, owner)
    if row is None or (expected is not None and row.version not in expected):
        return []
    return _add_version(turn, row, name, document, turn.at_ms)


def _add_version(turn: Turn, row: FlowRow, name: str, document: str, at: datetime) -> Rows:
    row.version += 1
    row.name, row.updated_at = name, at
    turn.tables.flow_versions[row.id, row.version] = FlowVersionRow(
        flow_id=row.id, version=row.version, document=document, created_at=at
    )
    return [_listed(row)]


def _shown(turn: Turn, flow: str, owner: str | None) -> FlowRow | None:
    row = turn.tables.flows.get(flow)
    is_shown = row is not None and owner in {None, row.owner_id} and row.hidden_at is None
    return row if is_shown else None


def _listed(row: FlowRow) -> tuple[Any, ...]:
    return row.id, row.version, row.owner_id, row.name, row.created_at, row.updated_at


def read_flow(turn: Turn, flow: str, owner: str | None) -> Rows:
    """The flow as a list shows it."""
    row = _shown(turn, flow, owner)
    return [] if row is None else [_listed(row)]


def read_flow_version(turn: Turn, flow: str, owner: str | None, version: int | None) -> Rows:
    """The flow with a document: as old as its version."""
    row = _shown(turn, flow, owner)
    if row is None:
        return []
    found = turn.tables.flow_versions.get((flow, row.version if version is None else version))
    if found is None:
        return []
    head = (row.id, found.version, row.owner_id, row.name, row.created_at)
    return [(*head, found.created_at, found.document)]


def original_flow_version(turn: Turn, flow: str, version: int) -> Rows:
    """A version's document, and when it was stored."""
    found = turn.tables.flow_versions.get((flow, version))
    return [] if found is None else [(found.document, found.created_at)]


def copy_flow_version(turn: Turn, flow: str, version: int, document: str, at: datetime) -> Rows:
    """A copy, unless there is one; whether it is of that very version."""
    copy = FlowVersionRow(flow_id=flow, version=version, document=document, created_at=at)
    return [(turn.tables.flow_versions.setdefault((flow, version), copy).created_at == at,)]


def read_newest_document(turn: Turn, flow: str, owner: str) -> Rows:
    """The newest document of the owner's flow, whether it is hidden or not."""
    row = turn.tables.flows.get(flow)
    if row is None or row.owner_id != owner:
        return []
    return [(turn.tables.flow_versions[flow, row.version].document,)]


def list_flows(turn: Turn, owner: str | None, created_at: datetime, flow: str, limit: int) -> Rows:
    """Those before the place, newest first."""
    rows = [
        row
        for row in turn.tables.flows.values()
        if owner in {None, row.owner_id}
        and row.hidden_at is None
        and (row.created_at, row.id) < (created_at, flow)
    ]
    rows.sort(key=lambda row: (row.created_at, row.id), reverse=True)
    return [_listed(row) for row in rows[:limit]]


def hide_flow(turn: Turn, flow: str, owner: str | None, *_by: object) -> Rows:
    """No list shows it any more."""
    row = _shown(turn, flow, owner)
    if row is None:
        return []
    row.hidden_at = turn.at_ms
    return [(flow,)]


def unwatched(turn: Turn, ids: Sequence[str]) -> Rows:
    """Those that nobody has asked to watch yet, and that still may tell something."""
    return [(each,) for each in ids if _may_be_watched(turn.row(each))]


def watch(turn: Turn, ids: Sequence[str]) -> Rows:
    """They are watched from now on: nobody has a row locked here."""
    watched = unwatched(turn, ids)
    for (each,) in watched:
        if (row := turn.row(each)) is not None:
            row.watched = True
    return watched


def _may_be_watched(row: ExecutionRow | None) -> bool:
    return row is not None and not row.watched and row.completed_at is None


HANDLERS: Mapping[str, Handler] = {
    executions.CREATE.name: create_executions,
    executions.REQUEST_START.name: request_start,
    executions.NEXT_RUNNABLE.name: next_runnable,
    executions.STARTED.name: started_nodes,
    flow_lookup.FLOW_HEAD.name: flow_head,
    flow_lookup.ORIGINAL.name: original_flow_version,
    flow_lookup.COPY.name: copy_flow_version,
    events.READ.name: read_events,
    events.READ_TYPES.name: read_events,
    events.HEADS.name: event_heads,
    events.UNWATCHED.name: unwatched,
    events.WATCH.name: watch,
    appending.APPEND.name: append_events,
    run_statements.FIND_BATCH.name: find_batch,
    flows.STORE.name: store_flow,
    flows.REPLACE.name: replace_flow,
    flows.READ.name: read_flow,
    flows.READ_VERSION.name: read_flow_version,
    flows.READ_NEWEST.name: read_newest_document,
    flows.LIST.name: list_flows,
    flows.HIDE.name: hide_flow,
}
