"""Looking a token up. They are made and revoked by the command line (app/cli/token_table.py)."""

from __future__ import annotations

from app.caller import Caller
from app.store.session import Statement
from app.store.sessions import Sessions

#: (hash): whose token it is, unless it was revoked.
FIND_TOKEN = Statement(
    "find_token",
    "text",
    """
    SELECT owner_id, role, id FROM chaingraph_tokens
    WHERE token_hash = $1 AND revoked_at IS NULL
    """,
)


class TokenTable:
    """Tokens as the API sees them. Every method may raise StoreUnavailable."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def find(self, token_hash: str) -> Caller | None:
        """Who sends the token with this hash; None where there is none, or it was revoked."""
        with self._sessions.session() as session:
            rows = session.execute(FIND_TOKEN, token_hash)
        return Caller(*rows[0]) if rows else None
