"""What the statement of tokens does: local mode asks for none, so that none is found."""

from __future__ import annotations

from collections.abc import Mapping

from app.local.turn import Handler, Rows, Turn
from app.store import tokens


def find_token(_turn: Turn, _token_hash: str) -> Rows:
    """Whose token it is: nobody's."""
    return []


HANDLERS: Mapping[str, Handler] = {tokens.FIND_TOKEN.name: find_token}
