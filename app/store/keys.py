"""Idempotency keys: what was created under which, written by the statement that creates it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.store.executions import columns_of, create_statement
from app.store.records import NewExecution
from app.store.session import Statement
from app.store.sessions import Sessions

#: How long a key is kept, as PostgreSQL writes it.
KEPT = "interval '24 hours'"

#: Whoever inserts the key creates; a second one with it waits here for the first to commit,
#: then creates nothing. (…, owner, route, key, hash of the body)
CREATE_KEYED = create_statement(
    "create_keyed_executions",
    ", text, text, text, text",
    f"""
        INSERT INTO chaingraph_idempotency_keys AS k
            (owner_id, route, key, body_hash, created_ids, created_at)
        VALUES ($14, $15, $16, $17, $1, clock_timestamp())
        ON CONFLICT (owner_id, route, key) DO UPDATE
        SET body_hash = excluded.body_hash, created_ids = excluded.created_ids,
            created_at = excluded.created_at
        WHERE k.created_at <= clock_timestamp() - {KEPT}
        RETURNING created_at AS at
    """,
)

#: (owner, route, key): what was created under it.
FIND_KEY = Statement(
    "find_idempotency_key",
    "text, text, text",
    f"""
    SELECT body_hash, created_ids FROM chaingraph_idempotency_keys
    WHERE owner_id = $1 AND route = $2 AND key = $3 AND created_at > clock_timestamp() - {KEPT}
    """,
)

#: (owner, route, key, hash of the body, ids): what was created, in the same transaction. For one
#: that has looked for the key while nobody else could come by it.
STORE_KEY = Statement(
    "store_idempotency_key",
    "text, text, text, text, text[]",
    """
    INSERT INTO chaingraph_idempotency_keys
        (owner_id, route, key, body_hash, created_ids, created_at)
    VALUES ($1, $2, $3, $4, $5, clock_timestamp())
    ON CONFLICT (owner_id, route, key) DO UPDATE
    SET body_hash = excluded.body_hash, created_ids = excluded.created_ids,
        created_at = excluded.created_at
    """,
)

#: (limit): forget keys whose time is over.
FORGET_KEYS = Statement(
    "forget_idempotency_keys",
    "int",
    f"""
    WITH old AS MATERIALIZED (
        SELECT owner_id, route, key FROM chaingraph_idempotency_keys
        WHERE created_at <= (SELECT clock_timestamp() - {KEPT})
        ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED
    )
    DELETE FROM chaingraph_idempotency_keys AS k USING old
    WHERE k.owner_id = old.owner_id AND k.route = old.route AND k.key = old.key
    """,
)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What a caller names a request by, and the hash of the body that it was sent with."""

    owner_id: str
    route: str
    key: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """A request that was carried out: the hash of its body, and the ids of what it created."""

    body_hash: str
    created_ids: Sequence[str]


class KeyTable:
    """Requests with a key. Every method may raise StoreUnavailable."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def find(self, key: RequestKey) -> KnownRequest | None:
        """What was created under this key within the time that it is kept."""
        with self._sessions.session() as session:
            rows = session.execute(FIND_KEY, key.owner_id, key.route, key.key)
        return KnownRequest(*rows[0]) if rows else None

    def create(self, key: RequestKey, rows: Sequence[NewExecution]) -> datetime | None:
        """Insert the rows, their first events and the key, all or none; gives their time.

        None where the key is taken. One in flight is waited for.
        """
        named = (key.owner_id, key.route, key.key, key.body_hash)
        with self._sessions.session() as session:
            created = session.execute(CREATE_KEYED, *columns_of(rows), *named)
        return created[0][0] if created else None
