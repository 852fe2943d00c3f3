"""Who may see metrics from elsewhere."""

from __future__ import annotations

import hmac


def bears(authorization: str | None, token: str | None) -> bool:
    """Whether an Authorization header bears the token; never where there is no token."""
    if authorization is None or token is None:
        return False
    scheme, _, given = authorization.partition(" ")
    is_it = hmac.compare_digest(given.strip().encode(), token.encode())
    return scheme.lower() == "bearer" and is_it
