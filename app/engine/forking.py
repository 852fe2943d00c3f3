"""What a fork takes over from the run that it is forked from, and what it runs anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.engine.engine import Engine
from app.engine.participation import NO_GROUP
from app.engine.state import Checkpoint, NodeStatus, Record, Resolution
from app.engine.wiring import Wiring


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A fork before it begins: its engine, and whose records it has, in the order of writing."""

    engine: Engine
    nodes: Sequence[str]


def dependents(wiring: Wiring, nodes: Iterable[int]) -> set[int]:
    """These nodes and all that depend on them: over edges, and as groups on their children."""
    found = set(nodes)
    pending = list(found)
    while pending:
        node = pending.pop()
        for target in _fed_by(wiring, node):
            if target not in found:
                found.add(target)
                pending.append(target)
    return found


def _fed_by(wiring: Wiring, node: int) -> Iterator[int]:
    for edge in wiring.edges_out(node):
        yield wiring.plan.edges[edge].target
    if wiring.group_of[node] != NO_GROUP:
        yield wiring.group_of[node]


def take_over(
    new_engine: Callable[[], Engine],
    records: Sequence[Record],
    anew: Iterable[int],
    *,
    with_failures: bool,
) -> TakenOver:
    """Have an engine take over what doesn't depend on the nodes `anew`, of what has ended.

    `records` are those of the other run in the order of writing, `new_engine` gives an engine of
    the new one that has not begun. Failures are taken over only `with_failures`, and never one
    that would end the run. A node that gave an output and has not ended runs anew, and with it
    what it may have fed.
    """
    engine = new_engine()
    wiring, index_of = engine.wiring, engine.plan.index_of
    known = [each for each in records if each.node_id in index_of and not _waits(each)]
    ended = {index_of[record.node_id] for record in known if _stands(engine, record, with_failures)}
    failed = {index_of[record.node_id] for record in known if _has_failed(record)}
    given = {index_of[record.node_id] for record in known if isinstance(record, Resolution)}
    rerun = dependents(wiring, {*anew, *((failed | given) - ended)})
    while True:
        kept = [
            record
            for record in known
            if (node := index_of[record.node_id]) in ended and node not in rerun
        ]
        # Cycles are skipped once nothing else can go on: what came after that comes after it here.
        early = engine.adopt(kept)
        if not early:
            return TakenOver(engine, list(dict.fromkeys(record.node_id for record in kept)))
        rerun |= dependents(wiring, early)
        engine = new_engine()


def _stands(engine: Engine, record: Record, with_failures: bool) -> bool:
    if isinstance(record, Resolution):
        return False
    if _has_failed(record):
        return with_failures and not engine.would_end(engine.plan.index_of[record.node_id])
    return record.status is NodeStatus.COMPLETED


def _waits(record: Record) -> bool:
    return isinstance(record, Checkpoint) and record.status is NodeStatus.WAITING


def _has_failed(record: Record) -> bool:
    return isinstance(record, Checkpoint) and record.status is NodeStatus.ERROR
