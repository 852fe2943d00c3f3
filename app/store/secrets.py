"""Secrets that owners store: the statements, and the rows that they give.

What is in `sealed` nobody reads but whoever has the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from app.store.executions import DuplicateId
from app.store.session import Statement
from app.store.sessions import Sessions
from app.store.texts import is_storable

#: Before every secret there is: where a list that is newest first begins.
_NEWEST = (datetime.max.replace(tzinfo=UTC), "")

#: (id, owner, name, type, sealed, token): a new secret; unique violation where its name is taken.
ADD = Statement(
    "add_secret",
    "text, text, text, text, text, text",
    """
    WITH made AS (
        INSERT INTO chaingraph_secrets
            (id, owner_id, name, secret_type, sealed, created_at, updated_at)
        SELECT $1, $2, $3, $4, $5, now, now
        FROM date_trunc('milliseconds', clock_timestamp()) AS now
        RETURNING id, owner_id, name, secret_type, created_at, updated_at
    ), noted AS (
        INSERT INTO chaingraph_audit (owner_id, token_id, action, subject_kind, subject_id)
        SELECT $2, $6, 'create', 'secret', id FROM made
    )
    SELECT * FROM made
    """,
)

#: (id, owner, name, type, sealed or null for what it is, token): the same for a secret that there
#: is.
CHANGE = Statement(
    "change_secret",
    "text, text, text, text, text, text",
    """
    WITH changed AS (
        UPDATE chaingraph_secrets
        SET name = $3, secret_type = $4, sealed = coalesce($5, sealed),
            updated_at = date_trunc('milliseconds', clock_timestamp())
        WHERE id = $1 AND owner_id = $2
        RETURNING id, owner_id, name, secret_type, created_at, updated_at
    ), noted AS (
        INSERT INTO chaingraph_audit (owner_id, token_id, action, subject_kind, subject_id)
        SELECT $2, $6, 'update', 'secret', id FROM changed
    )
    SELECT * FROM changed
    """,
)

#: (id, owner): the secret without what it holds.
READ = Statement(
    "read_secret",
    "text, text",
    """
    SELECT id, owner_id, name, secret_type, created_at, updated_at FROM chaingraph_secrets
    WHERE id = $1 AND owner_id = $2
    """,
)

#: (owner, id or name): what it holds; an id goes before a name.
FIND = Statement(
    "find_secret",
    "text, text",
    """
    SELECT sealed FROM chaingraph_secrets
    WHERE owner_id = $1 AND (id = $2 OR name = $2)
    ORDER BY id = $2 DESC
    LIMIT 1
    """,
)

#: (owner, created at, id, limit): those before the place, newest first.
LIST = Statement(
    "list_secrets",
    "text, timestamptz, text, int",
    """
    SELECT id, owner_id, name, secret_type, created_at, updated_at FROM chaingraph_secrets
    WHERE owner_id = $1 AND (created_at, id) < ($2, $3)
    ORDER BY created_at DESC, id DESC
    LIMIT $4
    """,
)

#: (id, owner, token): gone for good.
REMOVE = Statement(
    "remove_secret",
    "text, text, text",
    """
    WITH gone AS (
        DELETE FROM chaingraph_secrets WHERE id = $1 AND owner_id = $2 RETURNING id
    ), noted AS (
        INSERT INTO chaingraph_audit (owner_id, token_id, action, subject_kind, subject_id)
        SELECT $2, $3, 'delete', 'secret', id FROM gone
    )
    SELECT id FROM gone
    """,
)


@dataclass(frozen=True, slots=True)
class NameTaken:
    """Nothing was stored: the owner has another secret of that name."""


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A secret, as far as anybody is shown it."""

    id: str
    owner_id: str
    name: str
    secret_type: str
    created_at: datetime
    updated_at: datetime


class SecretStore:
    """Secrets in PostgreSQL. Every method may raise StoreUnavailable.

    Only their owners change them; `token` is the id of the token that they came with, for the
    audit.
    """

    def __init__(self, database: Sessions) -> None:
        self._database = database

    def add(
        self,
        secret_id: str,
        owner: str,
        name: str,
        secret_type: str,
        sealed: str,
        token: str | None = None,
    ) -> SecretRow | NameTaken:
        """Store a new secret."""
        try:
            [row] = self._rows(ADD, secret_id, owner, name, secret_type, sealed, token)
        except DuplicateId:
            return NameTaken()
        return row

    def change(
        self,
        secret_id: str,
        owner: str,
        name: str,
        secret_type: str,
        sealed: str | None,
        token: str | None = None,
    ) -> SecretRow | NameTaken | None:
        """Replace a secret, but for what it holds where `sealed` is None.

        None if the owner has no such secret.
        """
        try:
            rows = self._rows(CHANGE, secret_id, owner, name, secret_type, sealed, token)
        except DuplicateId:
            return NameTaken()
        return rows[0] if rows else None

    def read(self, secret_id: str, owner: str) -> SecretRow | None:
        """A secret; None if the owner has no such one."""
        rows = self._rows(READ, secret_id, owner)
        return rows[0] if rows else None

    def find(self, owner: str, name: str) -> str | None:
        """What the secret with this id or name holds, sealed; None if the owner has none."""
        if not is_storable(name):
            return None
        with self._database.session() as session:
            rows = session.execute(FIND, owner, name)
        return rows[0][0] if rows else None

    def page(self, owner: str, limit: int, before: tuple[datetime, str] | None) -> list[SecretRow]:
        """Up to `limit` secrets of an owner, newest first, from after the place `before`."""
        created_at, secret_id = before or _NEWEST
        return self._rows(LIST, owner, created_at, secret_id, limit)

    def remove(self, secret_id: str, owner: str, token: str | None = None) -> bool:
        """Delete a secret; False if the owner has no such one."""
        with self._database.session() as session:
            return bool(session.execute(REMOVE, secret_id, owner, token))

    def _rows(self, statement: Statement, *args: object) -> list[SecretRow]:
        with self._database.session() as session:
            return [SecretRow(*row) for row in session.execute(statement, *args)]
