"""What the statements of forks do, one function each (app.store.forks)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from app.local.turn import Handler, Rows, Turn
from app.store import forks


def hold_fork_source(turn: Turn, execution: str) -> Rows:
    """Find the execution; it stays for as long as the step takes."""
    return [] if turn.row(execution) is None else [(execution,)]


def take_over_checkpoints(
    turn: Turn,
    fork: str,
    source: str,
    nodes: Collection[str],
    completed: int,
    failed: int,
    skipped: int,
    *_by: object,
) -> Rows:
    """Give a new execution the checkpoints of nodes that have ended in another."""
    row = turn.row(fork)
    if row is None:
        return []
    row.forked_from = source
    row.nodes_completed, row.nodes_failed, row.nodes_skipped = completed, failed, skipped
    tables, taken = turn.tables, set(nodes)
    tables.checkpoints[fork] = {
        each.node_id: replace(each, execution_id=fork)
        for each in tables.checkpoints.get(source, {}).values()
        if each.node_id in taken
    }
    tables.resolutions[fork] = [
        replace(each, execution_id=fork)
        for each in tables.resolutions.get(source, ())
        if each.node_id in taken
    ]
    return [(fork,)]


HANDLERS: Mapping[str, Handler] = {
    forks.HOLD_SOURCE.name: hold_fork_source,
    forks.TAKE_OVER.name: take_over_checkpoints,
}
