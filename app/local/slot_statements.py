"""What the statements of slots do, one function each: the limit of what is claimed at once."""

from __future__ import annotations

from collections.abc import Mapping

from app.local.rows import SlotRow
from app.local.run_statements import claim_next, claim_one
from app.local.turn import Handler, Rows, Turn
from app.store import run_statements as sql
from app.store import slot_statements as slots


def claim_next_limited(turn: Turn, worker: str, token: str, lease_ms: int, limit: int) -> Rows:
    """Own the first of the backlog, if one of so many slots is free."""
    slot = _free_slot(turn, limit)
    return [] if slot is None else _take(slot, claim_next(turn, worker, token, lease_ms))


def claim_one_limited(
    turn: Turn, worker: str, token: str, lease_ms: int, execution: str, limit: int
) -> Rows:
    """Own this one, if it is runnable and one of so many slots is free."""
    slot = _free_slot(turn, limit)
    return [] if slot is None else _take(slot, claim_one(turn, worker, token, lease_ms, execution))


def _take(slot: SlotRow, claimed: Rows) -> Rows:
    for execution, epoch, *_ in claimed:
        slot.execution_id, slot.epoch = execution, epoch
    return claimed


def _free_slot(turn: Turn, limit: int) -> SlotRow | None:
    open_to = (slot for id_, slot in turn.tables.slots.items() if id_ <= limit)
    return next((slot for slot in open_to if not _is_taken(turn, slot)), None)


def _is_taken(turn: Turn, slot: SlotRow) -> bool:
    claim = None if slot.execution_id is None else turn.claim(slot.execution_id, "")
    return claim is not None and turn.guards.holds_claim(claim, slot.epoch)


def add_slots(turn: Turn, wanted: int) -> Rows:
    """Have so many, at least."""
    for id_ in range(1, wanted + 1):
        turn.tables.slots.setdefault(id_, SlotRow(id=id_))
    return []


def slots_taken(turn: Turn, limit: int) -> Rows:
    """Whether that many slots are taken."""
    taken = [id_ for id_, slot in turn.tables.slots.items() if _is_taken(turn, slot)]
    return [(sum(id_ <= limit for id_ in taken) >= limit,)]


HANDLERS: Mapping[str, Handler] = {
    sql.CLAIM_NEXT_LIMITED.name: claim_next_limited,
    sql.CLAIM_ONE_LIMITED.name: claim_one_limited,
    slots.ADD_SLOTS.name: add_slots,
    slots.SLOTS_TAKEN.name: slots_taken,
}
