"""What the statements that move notes do (app.store.notes): one process notes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from app.local.turn import Handler, Rows, Turn
from app.store import notes


def take_notes(_turn: Turn, _limit: int) -> Rows:
    """There are none."""
    return []


def keep_notes(_turn: Turn, *_columns: object) -> Rows:
    """None are kept."""
    return []


HANDLERS: Mapping[str, Handler] = {
    notes.TAKE.name: take_notes,
    notes.KEEP.name: keep_notes,
}
