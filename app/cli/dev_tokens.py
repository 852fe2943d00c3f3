"""The tokens of `chaingraph dev`: one to begin with, and one for what it asks of the API itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex

from app.caller import LOCAL
from app.cli import token_table
from app.config import Settings


def first_token(settings: Settings) -> str | None:
    """Make an admin token where there is none to use yet: it is for the caller to show, once.

    None where tokens aren't asked for, CHAINGRAPH_TOKEN is set, or the database has a live one.
    """
    if not settings.auth_enabled or settings.chaingraph_token is not None:
        return None
    url = settings.database_url
    if any(each.revoked_at is None for each in token_table.tokens(url)):
        return None
    _, secret = token_table.create(url, "dev", LOCAL.owner_id, "admin")
    return secret


@contextmanager
def own_token(settings: Settings) -> Iterator[str | None]:
    """A token for the calls of this block: CHAINGRAPH_TOKEN, or one that ends with it."""
    if not settings.auth_enabled or settings.chaingraph_token is not None:
        yield settings.chaingraph_token
        return
    url = settings.database_url
    made, secret = token_table.create(url, f"dev-{token_hex(4)}", LOCAL.owner_id, "admin")
    try:
        yield secret
    finally:
        token_table.revoke(url, made.id)
