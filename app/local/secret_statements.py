"""What the statements of stored secrets do, one function each (app.store.secrets)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg2.errors import UniqueViolation

from app.local.rows import SecretRow
from app.local.turn import Handler, Rows, Turn
from app.store import secrets


def add_secret(
    turn: Turn, secret: str, owner: str, name: str, secret_type: str, sealed: str, _: str | None
) -> Rows:
    """A new secret."""
    _refuse_taken(turn, secret, owner, name)
    row = turn.tables.secrets[secret] = SecretRow(
        id=secret,
        owner_id=owner,
        name=name,
        secret_type=secret_type,
        sealed=sealed,
        created_at=turn.at_ms,
        updated_at=turn.at_ms,
    )
    return [_shown(row)]


def change_secret(
    turn: Turn,
    secret: str,
    owner: str,
    name: str,
    secret_type: str,
    sealed: str | None,
    _: str | None,
) -> Rows:
    """The secret with another name, type or content."""
    row = _owned(turn, secret, owner)
    if row is None:
        return []
    _refuse_taken(turn, secret, owner, name)
    row.name, row.secret_type, row.updated_at = name, secret_type, turn.at_ms
    row.sealed = row.sealed if sealed is None else sealed
    return [_shown(row)]


def read_secret(turn: Turn, secret: str, owner: str) -> Rows:
    """The secret without what it holds."""
    row = _owned(turn, secret, owner)
    return [] if row is None else [_shown(row)]


def find_secret(turn: Turn, owner: str, name: str) -> Rows:
    """What a secret holds; an id goes before a name."""
    owned = [row for row in turn.tables.secrets.values() if row.owner_id == owner]
    found = [row for row in owned if row.id == name] or [row for row in owned if row.name == name]
    return [(row.sealed,) for row in found]


def list_secrets(turn: Turn, owner: str, created_at: datetime, secret: str, limit: int) -> Rows:
    """Those before the place, newest first."""
    rows = [
        row
        for row in turn.tables.secrets.values()
        if row.owner_id == owner and (row.created_at, row.id) < (created_at, secret)
    ]
    rows.sort(key=lambda row: (row.created_at, row.id), reverse=True)
    return [_shown(row) for row in rows[:limit]]


def remove_secret(turn: Turn, secret: str, owner: str, _: str | None) -> Rows:
    """Gone for good."""
    if _owned(turn, secret, owner) is None:
        return []
    del turn.tables.secrets[secret]
    return [(secret,)]


def _owned(turn: Turn, secret: str, owner: str) -> SecretRow | None:
    row = turn.tables.secrets.get(secret)
    return row if row is not None and row.owner_id == owner else None


def _refuse_taken(turn: Turn, secret: str, owner: str, name: str) -> None:
    for row in turn.tables.secrets.values():
        if (row.owner_id, row.name) == (owner, name) and row.id != secret:
            raise UniqueViolation("uq_chaingraph_secrets_owner_id_name")


def _shown(row: SecretRow) -> tuple[Any, ...]:
    return row.id, row.owner_id, row.name, row.secret_type, row.created_at, row.updated_at


HANDLERS: Mapping[str, Handler] = {
    secrets.ADD.name: add_secret,
    secrets.CHANGE.name: change_secret,
    secrets.READ.name: read_secret,
    secrets.FIND.name: find_secret,
    secrets.LIST.name: list_secrets,
    secrets.REMOVE.name: remove_secret,
}
