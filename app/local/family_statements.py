"""What the statements of parents and children do, one function each (app.store.family_statements)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg2.errors import UniqueViolation

from app.local.commanded_statements import write_resolving
from app.local.rows import EventBatchRow, ExecutionRow
from app.local.run_statements import checkpoints
from app.local.turn import Handler, Rows, Turn
from app.store import ending_statements
from app.store import family_statements as sql


def write_family(turn: Turn, execution: str, *what: Any) -> Rows:
    """A boundary that makes children or notes their ends."""
    *boundary, ids, nodes, ordinals, flows, versions = what[:-6]
    inputs, events, totals, created, counted, noted = what[-6:]
    written = write_resolving(turn, execution, *boundary)
    if not written:
        return []
    [(_, at, _)] = written
    parent = turn.tables.executions[execution]
    _refuse_duplicates(turn, execution, set(zip(nodes, ordinals, strict=True)))
    columns = (ids, nodes, ordinals, flows, versions, inputs, events, totals, created)
    for place, values in enumerate(zip(*columns, strict=True)):
        _bear(turn, parent, at, timedelta(microseconds=place), *values)
    parent.children += counted
    for id_ in noted:
        _note(turn.row(id_), parent.id)
    return written


def _refuse_duplicates(turn: Turn, parent: str, places: set[tuple[str, int]]) -> None:
    if not places:
        return
    for child in children_of(turn, [parent]):
        if (child.parent_node_id, child.child_ordinal) in places:
            raise UniqueViolation("ix_chaingraph_executions_children")


def _bear(
    turn: Turn,
    parent: ExecutionRow,
    at: datetime,
    later: timedelta,
    id_: str,
    node_id: str,
    ordinal: int,
    flow_id: str,
    flow_version: int,
    inputs: str | None,
    events: str | None,
    nodes_total: int,
    created_event: str,
) -> None:
    turn.tables.executions[id_] = ExecutionRow(
        id=id_,
        flow_id=flow_id,
        flow_version=flow_version,
        owner_id=parent.owner_id,
        root_execution_id=parent.root_execution_id,
        parent_execution_id=parent.id,
        execution_depth=parent.execution_depth + 1,
        parent_node_id=node_id,
        child_ordinal=ordinal,
        child_state="open",
        priority=parent.priority,
        created_at=turn.at + later,
        updated_at=at,
        start_requested_at=turn.at + later,
        runnable_at=turn.at + later,
        options=parent.options,
        inputs=inputs,
        integration=parent.integration,
        external_events=events,
        nodes_total=nodes_total,
    )
    turn.tables.offspring.setdefault(parent.id, []).append(id_)
    first = EventBatchRow(
        execution_id=id_,
        first_index=-1,
        written_at=at,
        types=["execution:created"],
        data=f"[{created_event}]",
    )
    turn.tables.event_batches[id_] = [first]


def _note(child: ExecutionRow | None, parent_id: str) -> None:
    if child is not None and child.parent_execution_id == parent_id:
        child.child_state = "told" if child.child_state == "untold" else child.child_state


def children_of(turn: Turn, parents: Sequence[str]) -> list[ExecutionRow]:
    """The children of these."""
    ids = [child for parent in parents for child in turn.tables.offspring.get(parent, ())]
    return [row for id_ in ids if (row := turn.row(id_)) is not None]


def children(turn: Turn, parent: str) -> Rows:
    """The children that it waits for, or whose ends it has yet to note."""
    rows = [row for row in children_of(turn, [parent]) if row.child_state != "told"]
    # Those that have not ended come last.
    rows.sort(key=lambda row: (row.completed_at is None, row.completed_at or turn.at, row.id))
    return [
        (
            row.id,
            row.status,
            row.parent_node_id,
            row.child_ordinal,
            row.error_message,
            row.external_events and row.external_events[: sql.EVENT_HEAD],
        )
        for row in rows
    ]


def children_standing(turn: Turn, parent: str) -> Rows:
    """The nodes of those children, with each of their states."""
    standing = {
        (row.parent_node_id, row.child_state)
        for row in children_of(turn, [parent])
        if row.child_state != "told"
    }
    return list(standing)


def children_made(turn: Turn, parent: str, node: str) -> Rows:
    """How many children a node has made."""
    return [(sum(row.parent_node_id == node for row in children_of(turn, [parent])),)]


def ended_children(
    turn: Turn, parent: str, node: str, first: int, limit: int, most_bytes: int
) -> Rows:
    """So many children of a node from a place on, in order; fewer where they are large."""
    places = range(first, first + limit)
    of_node = [
        row
        for row in children_of(turn, [parent])
        if row.parent_node_id == node and row.child_ordinal in places
    ]
    of_node.sort(key=lambda row: row.child_ordinal or 0)
    sizes = itertools.accumulate((_size(turn, row) for row in of_node), initial=0)
    of_node = [row for row, before in zip(of_node, sizes, strict=False) if before < most_bytes]
    return [
        (
            row.child_ordinal,
            row.id,
            row.status,
            row.error_message,
            row.started_at,
            row.options,
            row.inputs,
            row.external_events,
            row.grants,
        )
        for row in of_node
    ]


def _size(turn: Turn, row: ExecutionRow) -> int:
    given = [outputs for _, _, _, _, outputs, *_ in checkpoints(turn, row.id)]
    return sum(len(text.encode()) for text in (row.inputs, *given) if text is not None)


def ended_nodes(turn: Turn, executions: Sequence[str]) -> Rows:
    """Their checkpoints and resolutions, each execution's in the order of writing."""
    return [
        (execution, node_id, status, attempt, outputs, error, seq)
        for execution in executions
        for node_id, seq, status, attempt, outputs, error, *_ in checkpoints(turn, execution)
    ]


def untold_parents(turn: Turn, limit: int) -> Rows:
    """Parents that sleep although a child of theirs has ended."""
    untold = {
        row.parent_execution_id
        for row in turn.tables.executions.values()
        if row.child_state == "untold"
    }
    asleep = [
        row.id
        for row in turn.tables.executions.values()
        if row.id in untold
        and row.status == "running"
        and row.runnable_at is None
        and row.processing_worker_id is None
    ]
    return [(id_,) for id_ in asleep[:limit]]


def note_all_children(turn: Turn, parents: Sequence[str]) -> Rows:
    """Nobody is left to be told of the ends of their children."""
    for row in children_of(turn, parents):
        _note(row, row.parent_execution_id or "")
    return []


HANDLERS: Mapping[str, Handler] = {
    sql.FAMILY.name: write_family,
    sql.CHILDREN.name: children,
    sql.STANDING.name: children_standing,
    sql.MADE.name: children_made,
    sql.ENDED.name: ended_children,
    sql.ENDED_NODES.name: ended_nodes,
    sql.UNTOLD_PARENTS.name: untold_parents,
    ending_statements.NOTE_ALL.name: note_all_children,
}
