"""What the statements of signals do, one function each (app.store.signal_statements)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from app.local.rows import CheckpointRow, SignalRow
from app.local.turn import Handler, Rows, Turn, whole_ms
from app.store import signal_statements as sql


def _signals(turn: Turn, execution: str) -> list[SignalRow]:
    return turn.tables.signals.setdefault(execution, [])


def lock_execution(turn: Turn, execution: str) -> Rows:
    """Its status; a transaction is one step here."""
    row = turn.row(execution)
    return [] if row is None else [(row.status,)]


def lock_own_execution(turn: Turn, execution: str, epoch: int) -> Rows:
    """The same for its owner."""
    row = turn.held(execution, epoch)
    return [] if row is None else [(row.status,)]


def keep_signal(
    turn: Turn, execution: str, name: str, payload: str, most: int, *_by: object
) -> Rows:
    """Keep a signal, if there is room."""
    signals = _signals(turn, execution)
    if sum(each.node_id is None for each in signals) >= most:
        return []
    kept = SignalRow(
        execution_id=execution,
        id=next(turn.tables.signal_ids),
        name=name,
        payload=payload,
        sent_at=turn.at,
    )
    signals.append(kept)
    return [(kept.id,)]


def open_signal_waits(turn: Turn, execution: str) -> Rows:
    """The nodes that wait for a signal, in document order."""
    ended = {each.node_id for each in _signals(turn, execution)}
    found = []
    for row in turn.tables.checkpoints.get(execution, {}).values():
        plan = _plan_of(row)
        if "$signal" in plan and row.node_id not in ended:
            found.append((plan["$place"], row.node_id, plan["$signal"], row.retry_at))
    return [tuple(wait) for _, *wait in sorted(found, key=lambda wait: wait[0])]


def kept_signals(turn: Turn, execution: str, names: Sequence[str]) -> Rows:
    """What is kept, in the order of arrival."""
    return [
        (each.id, each.name, each.sent_at)
        for each in _signals(turn, execution)
        if each.node_id is None and each.name in names
    ]


def give_signals(
    turn: Turn, execution: str, signal_ids: Sequence[int], nodes: Sequence[str]
) -> Rows:
    """Give each signal to its node."""
    given = dict(zip(signal_ids, nodes, strict=True))
    for each in _signals(turn, execution):
        if each.id in given:
            each.node_id, each.taken_at = given[each.id], turn.at
    return []


def _plan_of(row: CheckpointRow) -> dict[str, Any]:
    if row.status != "waiting" or row.error is not None or row.outputs is None:
        return {}
    plan: dict[str, Any] = orjson.loads(row.outputs)
    return plan


def signal_given(turn: Turn, execution: str) -> Rows:
    """A signal was given to a node: whoever parks now looks again; who parked is runnable."""
    row = turn.row(execution)
    if row is None or row.completed_at is not None:
        return []
    row.wake += 1
    if row.status == "running":
        row.waiting = None
        if row.processing_worker_id is None:
            row.runnable_at = row.runnable_at or turn.at
    return [(row.processing_worker_id, row.runnable_at is not None)]


def signal_receiver(turn: Turn, execution: str, signal_id: int) -> Rows:
    """The node that a signal was given to."""
    return [(each.node_id,) for each in _signals(turn, execution) if each.id == signal_id]


def signals_standing(turn: Turn, execution: str) -> Rows:
    """The nodes whose waits have ended, and the names of what is kept."""
    return list({(each.node_id, each.name) for each in _signals(turn, execution)})


def signals_taken(
    turn: Turn, execution: str, epoch: int, nodes: Sequence[str], names: Sequence[str]
) -> Rows:
    """How the waits of these nodes ended, and whether signals of these names are kept."""
    if turn.held(execution, epoch) is None:
        return []
    signals = _signals(turn, execution)
    is_kept = any(each.node_id is None and each.name in names for each in signals)
    checkpoints = turn.tables.checkpoints.get(execution, {})
    ended: Rows = []
    for each in signals:
        if each.node_id in nodes and each.node_id is not None and each.taken_at is not None:
            row = checkpoints.get(each.node_id)
            waited_ms = max(0, whole_ms(each.taken_at - row.started_at)) if row else 0
            ended.append((is_kept, each.node_id, each.payload, each.timed_out, waited_ms))
    return ended or [(is_kept, None, None, None, None)]


def end_signal_wait(turn: Turn, execution: str, epoch: int, node: str, name: str) -> Rows:
    """The time of a wait is up, unless a signal was quicker."""
    signals = _signals(turn, execution)
    is_ended = any(each.node_id == node for each in signals)
    if turn.held(execution, epoch) is not None and not is_ended:
        signals.append(
            SignalRow(
                execution_id=execution,
                id=next(turn.tables.signal_ids),
                name=name,
                payload=None,
                sent_at=turn.at,
                node_id=node,
                taken_at=turn.at,
                timed_out=True,
            )
        )
    return []


HANDLERS: Mapping[str, Handler] = {
    sql.LOCK.name: lock_execution,
    sql.LOCK_OWN.name: lock_own_execution,
    sql.KEEP.name: keep_signal,
    sql.OPEN_WAITS.name: open_signal_waits,
    sql.KEPT.name: kept_signals,
    sql.GIVE.name: give_signals,
    sql.GIVEN.name: signal_given,
    sql.RECEIVER.name: signal_receiver,
    sql.STANDING.name: signals_standing,
    sql.TAKEN.name: signals_taken,
    sql.END_WAIT.name: end_signal_wait,
}
