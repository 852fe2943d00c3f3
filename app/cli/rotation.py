"""Moving everything that is encrypted in a database from one SECRET_KEY to the next.

Whatever column of JSON there is may hold sealed texts (app/values/secrets.py): documents, inputs,
checkpoints. Each row is replaced only if it is still what was read, so that what runs meanwhile
loses nothing; a row that changed in between is read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import sql

from app.cli.account import account
from app.errors import SecretUnreadable, StoreUnavailable
from app.vault import Keyring

CONNECT_TIMEOUT_S = 5
#: Rows that are read at once: a value has up to a few MiB.
BATCH = 100

_SEALED = re.compile(r'("\$sealed"\s*:\s*")([^"\\]*)(")')

#: Tables of this schema with their primary keys and their columns of JSON. Not the events: they
#: read the same for ever, and show masks.
_TABLES = """
    SELECT c.relname,
        array_agg(DISTINCT k.attname::text),
        array_agg(DISTINCT j.attname::text)
    FROM pg_class AS c
    JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
    JOIN pg_attribute AS k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey)
    JOIN pg_attribute AS j ON j.attrelid = c.oid AND j.atttypid = 'json'::regtype
        AND NOT j.attisdropped
    WHERE c.relkind = 'r' AND c.relname LIKE 'chaingraph%' AND pg_table_is_visible(c.oid)
        AND c.relname <> 'chaingraph_event_batches'
    GROUP BY c.relname
    ORDER BY c.relname
"""

#: A stored secret is moved, and that is noted.
_MOVE_STORED = """
    WITH moved AS (
        UPDATE chaingraph_secrets SET sealed = %(new)s WHERE id = %(id)s AND sealed = %(old)s
        RETURNING id
    )
    INSERT INTO chaingraph_audit (owner_id, action, subject_kind, subject_id)
    SELECT %(by)s, 'rotate', 'secret', id FROM moved
"""


@dataclass(slots=True)
class Rotated:
    """How many rows were written anew, and which hold what neither key opens."""

    rewritten: int = 0
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """A column that may hold sealed texts, and the keys of its table."""

    table: str
    keys: Sequence[str]
    column: str
    is_json: bool = True


def rotate(database_urls: Sequence[str], keyring: Keyring) -> Rotated:
    """Encrypt anew whatever is under the old key in these databases. Raises StoreUnavailable."""
    rotated = Rotated()
    for each in database_urls:
        _rotate_database(each, keyring, rotated)
    return rotated


def _rotate_database(database_url: str, keyring: Keyring, rotated: Rotated) -> None:
    try:
        connection = psycopg2.connect(database_url, connect_timeout=CONNECT_TIMEOUT_S)
    except psycopg2.OperationalError as error:
        reason = " ".join(str(error).split())
        raise StoreUnavailable(f"PostgreSQL can't be reached: {reason}") from error
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for place in _places(cursor):
                _rotate_place(cursor, place, keyring, rotated)
    except psycopg2.OperationalError as error:
        raise StoreUnavailable(" ".join(str(error).split())) from error
    finally:
        connection.close()


def _places(cursor: Any) -> Iterator[Place]:
    yield Place("chaingraph_secrets", ["id"], "sealed", is_json=False)
    cursor.execute(_TABLES)
    for table, keys, columns in cursor.fetchall():
        yield from (Place(table, keys, column) for column in columns)


def _rotate_place(cursor: Any, place: Place, keyring: Keyring, rotated: Rotated) -> None:
    after: Sequence[Any] | None = None
    while rows := _read(cursor, place, after):
        for *key, text in rows:
            _rotate_row(cursor, place, key, text, keyring, rotated)
        after = rows[-1][:-1]


def _rotate_row(
    cursor: Any,
    place: Place,
    key: Sequence[Any],
    text: str | None,
    keyring: Keyring,
    rotated: Rotated,
) -> None:
    while text is not None:
        renewed, is_readable = _renewed(place, text, keyring)
        if renewed == text or _replace(cursor, place, key, text, renewed):
            rotated.rewritten += renewed != text
            if not is_readable:
                named = ", ".join(map(str, key))
                rotated.unreadable.append(f"{place.table}.{place.column} of {named}")
            return
        text = _again(cursor, place, key)


def _renewed(place: Place, text: str, keyring: Keyring) -> tuple[str, bool]:
    """The text with all renewed that a key opens, and whether that was everything."""
    lost = 0

    def renew(sealed: str) -> str:
        nonlocal lost
        try:
            return keyring.renew(sealed)
        except SecretUnreadable:
            # Anybody can write what looks like a sealed text: the others move all the same.
            lost += 1
            return sealed

    if not place.is_json:
        renewed = renew(text)
    else:
        renewed = _SEALED.sub(lambda found: found[1] + renew(found[2]) + found[3], text)
    return renewed, not lost


def _read(cursor: Any, place: Place, after: Sequence[Any] | None) -> list[Sequence[Any]]:
    """The next rows that may hold something, by their keys."""
    keys = sql.SQL(", ").join(map(sql.Identifier, place.keys))
    column = sql.Identifier(place.column)
    beyond = sql.SQL("true") if after is None else sql.SQL("({}) > %s").format(keys)
    query = sql.SQL(
        "SELECT {}, {}::text FROM {} WHERE {}::text LIKE %s AND {} ORDER BY {} LIMIT %s"
    )
    holds = '%"$sealed"%' if place.is_json else "%"
    cursor.execute(
        query.format(keys, column, sql.Identifier(place.table), column, beyond, keys),
        [holds, *(() if after is None else (tuple(after),)), BATCH],
    )
    rows: list[Sequence[Any]] = cursor.fetchall()
    return rows


def _replace(cursor: Any, place: Place, key: Sequence[Any], old: str, new: str) -> bool:
    if not place.is_json:
        cursor.execute(_MOVE_STORED, {"id": key[0], "old": old, "new": new, "by": account()})
        return bool(cursor.rowcount)
    query = sql.SQL("UPDATE {} SET {} = %s::json WHERE {} AND {}::text = %s").format(
        sql.Identifier(place.table),
        sql.Identifier(place.column),
        _is_row(place),
        sql.Identifier(place.column),
    )
    cursor.execute(query, [new, *key, old])
    return bool(cursor.rowcount)


def _again(cursor: Any, place: Place, key: Sequence[Any]) -> str | None:
    """What a row that has changed holds now; None where it is gone or empty."""
    query = sql.SQL("SELECT {}::text FROM {} WHERE {}").format(
        sql.Identifier(place.column), sql.Identifier(place.table), _is_row(place)
    )
    cursor.execute(query, key)
    row = cursor.fetchone()
    return row[0] if row else None


def _is_row(place: Place) -> sql.Composable:
    return sql.SQL(" AND ").join(
        sql.SQL("{} = %s").format(sql.Identifier(name)) for name in place.keys
    )
