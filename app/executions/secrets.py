"""Secrets: what callers may do with theirs, and what nodes are given of their owner's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.caller import Caller
from app.errors import (
    Conflict,
    NonRetryableError,
    NotFound,
    SecretKeyMissing,
    SecretUnreadable,
)
from app.events.wire import timestamp
from app.ids import SECRET_PREFIX, IdSource
from app.store.secrets import NameTaken, SecretRow, SecretStore
from app.values.ports import Value
from app.values.secrets import MASK, SEALED, STORED, is_reference, is_sealed
from app.vault import Keyring


class Vault(Protocol):
    """Gives nodes what stands behind a secret."""

    def open(self, owner: str, secret: Value) -> Value:
        """Open a secret, or one of the owner's by its id or name.

        Raises NonRetryableError where there is none or it can't be opened, StoreUnavailable.
        """
        ...

    def seal(self, owner: str, data: Value) -> str:
        """Encrypt what a node hands out as a secret. Raises NonRetryableError without a key."""
        ...


@dataclass(frozen=True, slots=True)
class OwnersVault:
    """Opens what an owner stored, and what was sealed in that owner's name; nothing else."""

    keyring: Keyring
    store: SecretStore

    def open(self, owner: str, secret: Value) -> Value:
        """Open a secret. Raises as `Vault.open` does."""
        try:
            return self.keyring.open(owner, self._sealed(owner, secret))
        except (SecretKeyMissing, SecretUnreadable) as error:
            raise NonRetryableError(error.message) from error

    def seal(self, owner: str, data: Value) -> str:
        """Encrypt what a node hands out as a secret. Raises NonRetryableError without a key."""
        try:
            return self.keyring.seal(owner, data)
        except SecretKeyMissing as error:
            raise NonRetryableError(error.message) from error

    def _sealed(self, owner: str, secret: Value) -> str:
        if is_sealed(secret):
            return str(secret[SEALED])
        name = secret[STORED] if is_reference(secret) else secret
        if not isinstance(name, str):
            raise NonRetryableError("what is in the port is no secret")
        found = self.store.find(owner, name)
        if found is None:
            raise NonRetryableError(f"there is no secret '{name}'")
        return found


@dataclass(frozen=True, slots=True)
class SecretPage:
    """Up to `limit` secrets; `after` is where the next page begins, None at the end."""

    secrets: Sequence[dict[str, Any]]
    after: tuple[datetime, str] | None


class SecretService:
    """The use cases of stored secrets, as one owner. Every method may raise StoreUnavailable."""

    def __init__(self, store: SecretStore, keyring: Keyring, fresh_id: IdSource) -> None:
        self._store = store
        self._keyring = keyring
        self._fresh_id = fresh_id

    def store(self, caller: Caller, name: str, secret_type: str, data: Value) -> dict[str, Any]:
        """Store a new secret. Raises SecretKeyMissing, Conflict where its name is taken."""
        owner, token = caller.owner_id, caller.token_id
        sealed = self._keyring.seal(owner, data)
        id_ = self._fresh_id(SECRET_PREFIX)
        row = self._store.add(id_, owner, name, secret_type, sealed, token)
        return _shown(row, name)

    def replace(
        self, secret_id: str, caller: Caller, name: str, secret_type: str, data: Value
    ) -> dict[str, Any]:
        """Replace a secret; the mask, or None, in the place of its data keeps that.

        Raises NotFound, SecretKeyMissing, Conflict.
        """
        owner, token = caller.owner_id, caller.token_id
        sealed = None if data in (None, MASK) else self._keyring.seal(owner, data)
        row = self._store.change(secret_id, owner, name, secret_type, sealed, token)
        if row is None:
            raise NotFound(f"There is no secret '{secret_id}'")
        return _shown(row, name)

    def get(self, secret_id: str, owner: str) -> dict[str, Any]:
        """Show a secret, without what it holds. Raises NotFound."""
        row = self._store.read(secret_id, owner)
        if row is None:
            raise NotFound(f"There is no secret '{secret_id}'")
        return _shape(row)

    def page(self, owner: str, limit: int, before: tuple[datetime, str] | None) -> SecretPage:
        """One page of the owner's secrets, newest first."""
        rows = self._store.page(owner, limit + 1, before)
        shown = rows[:limit]
        last = shown[-1] if len(rows) > limit else None
        after = (last.created_at, last.id) if last else None
        return SecretPage([_shape(row) for row in shown], after)

    def delete(self, secret_id: str, caller: Caller) -> None:
        """Delete a secret. Raises NotFound."""
        if not self._store.remove(secret_id, caller.owner_id, caller.token_id):
            raise NotFound(f"There is no secret '{secret_id}'")


def _shown(row: SecretRow | NameTaken, name: str) -> dict[str, Any]:
    if isinstance(row, NameTaken):
        raise Conflict(f"There is a secret named '{name}' already")
    return _shape(row)


def _shape(row: SecretRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "secretType": row.secret_type,
        "ownerId": row.owner_id,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
    }
