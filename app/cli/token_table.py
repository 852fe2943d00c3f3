"""Tokens in the database: made, listed and revoked beside the API, which may have none yet.

Whoever has DATABASE_URL may do this. What was done is noted in chaingraph_audit by the statement
that does it, under the account of this machine that did it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from random import SystemRandom
from typing import Any, Literal

import psycopg2
from psycopg2 import errors

from app.cli.account import account
from app.errors import ChainGraphError, StoreUnavailable
from app.events.wire import timestamp
from app.ids import TOKEN_PREFIX, id_source
from app.tokens import hash_of, new_token

CONNECT_TIMEOUT_S = 5

Role = Literal["admin", "user"]

_CREATE = """
    WITH made AS (
        INSERT INTO chaingraph_tokens (id, name, owner_id, role, token_hash)
        VALUES (%(id)s, %(name)s, %(owner)s, %(role)s, %(hash)s)
        RETURNING id, name, owner_id, role, created_at, revoked_at
    ), noted AS (
        INSERT INTO chaingraph_audit (owner_id, action, subject_kind, subject_id)
        SELECT %(by)s, 'create', 'token', id FROM made
    )
    SELECT * FROM made
"""

_REVOKE = """
    WITH revoked AS (
        UPDATE chaingraph_tokens SET revoked_at = clock_timestamp()
        WHERE (id = %(which)s OR name = %(which)s) AND revoked_at IS NULL
        RETURNING id, name, owner_id, role, created_at, revoked_at
    ), noted AS (
        INSERT INTO chaingraph_audit (owner_id, action, subject_kind, subject_id)
        SELECT %(by)s, 'revoke', 'token', id FROM revoked
    )
    SELECT * FROM revoked
"""

_LIST = """
    SELECT id, name, owner_id, role, created_at, revoked_at FROM chaingraph_tokens
    ORDER BY created_at DESC, id
"""


class TokenError(ChainGraphError):
    """There is no such token, or there is one already."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token. The token itself is not."""

    id: str
    name: str
    owner_id: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """As `--json` shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "ownerId": self.owner_id,
            "role": self.role,
            "createdAt": timestamp(self.created_at),
            "revokedAt": self.revoked_at and timestamp(self.revoked_at),
        }


def create(database_url: str, name: str, owner_id: str, role: Role) -> tuple[Token, str]:
    """Make a token; the second of what it gives is what is sent, and is kept nowhere.

    Raises TokenError where a live one has the name, StoreUnavailable.
    """
    secret = new_token(os.urandom)
    values = {"name": name, "owner": owner_id, "role": role, "hash": hash_of(secret)}
    try:
        [made] = _execute(database_url, _CREATE, id=_fresh_id(), **values)
    except errors.UniqueViolation as error:
        raise TokenError(f"there is a token '{name}': revoke it, or choose another name") from error
    return made, secret


def revoke(database_url: str, which: str) -> Token:
    """Revoke a token by its name or its id. Raises TokenError, StoreUnavailable."""
    found = _execute(database_url, _REVOKE, which=which)
    if not found:
        raise TokenError(f"there is no token '{which}' that isn't revoked")
    return found[0]


def tokens(database_url: str) -> Sequence[Token]:
    """All tokens, newest first, revoked ones too. Raises TokenError, StoreUnavailable."""
    return _execute(database_url, _LIST)


def _fresh_id() -> str:
    return id_source(SystemRandom())(TOKEN_PREFIX)


def _execute(database_url: str, statement: str, **values: str) -> Sequence[Token]:
    with _connection(database_url) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(statement, {**values, "by": account()})
        except errors.UndefinedTable as error:
            raise TokenError("the database has no tokens yet: run `chaingraph migrate`") from error
        return [Token(*row) for row in cursor.fetchall()]


@contextmanager
def _connection(database_url: str) -> Iterator[Any]:
    try:
        connection = psycopg2.connect(database_url, connect_timeout=CONNECT_TIMEOUT_S)
    except psycopg2.OperationalError as error:
        reason = " ".join(str(error).split())
        raise StoreUnavailable(f"PostgreSQL can't be reached: {reason}") from error
    connection.autocommit = True
    try:
        yield connection
    finally:
        connection.close()
