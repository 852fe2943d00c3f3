"""One address, written the way each library wants it; and without its password."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

MASK = "********"

_SECRET_PARAMETERS = frozenset({"password", "sslpassword"})


def for_libpq(url: str) -> str:
    """Write a PostgreSQL URL as `psycopg2.connect` takes it."""
    return "postgresql://" + url.split("://", 1)[1]


def for_sqlalchemy(url: str) -> str:
    """Write a PostgreSQL URL for SQLAlchemy, whose own default would be another driver."""
    return "postgresql+psycopg2://" + url.split("://", 1)[1]


def for_kombu(url: str) -> str:
    """Write a Redis URL as Celery's transport takes it: a socket is `redis+socket` there."""
    if not url.startswith("unix://"):
        return url
    return _rewritten(url, "redis+socket", {"db": "virtual_host"})


def for_redis(url: str) -> str:
    """Write a Redis URL as redis-py takes it: a socket is `unix` there."""
    if not url.startswith("redis+socket://"):
        return url
    return _rewritten(url, "unix", {"virtual_host": "db"})


def masked(url: str) -> str:
    """The URL with every password replaced by asterisks."""
    parts = urlsplit(url)
    credentials, at, host = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    authority = f"{user}{colon}{MASK if colon else ''}{at}{host}"
    return _joined(parts.scheme, authority, parts.path, _masked_query(parts.query))


def _rewritten(url: str, scheme: str, names: dict[str, str]) -> str:
    parts = urlsplit(url)
    query = urlencode([(names.get(name, name), value) for name, value in parse_qsl(parts.query)])
    return _joined(scheme, parts.netloc, parts.path, query)


def _joined(scheme: str, authority: str, path: str, query: str) -> str:
    # Not `urlunsplit`: it drops the empty authority of a scheme that it doesn't know.
    return f"{scheme}://{authority}{path}{'?' if query else ''}{query}"


def _masked_query(query: str) -> str:
    return "&".join(_masked_parameter(pair) for pair in query.split("&"))


def _masked_parameter(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}{equals}{MASK}" if name in _SECRET_PARAMETERS else pair
