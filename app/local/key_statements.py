"""What the statements of idempotency keys do, one function each (app.store.keys)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from app.local.api_statements import create_executions
from app.local.rows import KeyRow
from app.local.turn import Handler, Rows, Turn
from app.store import keys

_KEPT = timedelta(hours=24)


def create_keyed_executions(turn: Turn, *args: Any) -> Rows:
    """Create executions under a key, if it is free."""
    *columns, owner, route, key, body_hash = args
    if _known(turn, owner, route, key) is not None:
        return []
    created = create_executions(turn, *columns)
    store_idempotency_key(turn, owner, route, key, body_hash, list(columns[0]))
    return created


def store_idempotency_key(
    turn: Turn, owner: str, route: str, key: str, body_hash: str, created_ids: Sequence[str]
) -> Rows:
    """Note what was created under a key that is free."""
    turn.tables.idempotency_keys[owner, route, key] = KeyRow(
        owner_id=owner,
        route=route,
        key=key,
        body_hash=body_hash,
        created_ids=created_ids,
        created_at=turn.at,
    )
    return []


def find_idempotency_key(turn: Turn, owner: str, route: str, key: str) -> Rows:
    """What was created under a key."""
    row = _known(turn, owner, route, key)
    return [] if row is None else [(row.body_hash, row.created_ids)]


def forget_idempotency_keys(turn: Turn, limit: int) -> Rows:
    """Forget keys whose time is over."""
    rows = turn.tables.idempotency_keys
    old = [key for key, row in rows.items() if row.created_at <= turn.at - _KEPT]
    for key in old[:limit]:
        del rows[key]
    return []


def _known(turn: Turn, owner: str, route: str, key: str) -> KeyRow | None:
    row = turn.tables.idempotency_keys.get((owner, route, key))
    return row if row is not None and row.created_at > turn.at - _KEPT else None


HANDLERS: Mapping[str, Handler] = {
    keys.CREATE_KEYED.name: create_keyed_executions,
    keys.STORE_KEY.name: store_idempotency_key,
    keys.FIND_KEY.name: find_idempotency_key,
    keys.FORGET_KEYS.name: forget_idempotency_keys,
}
