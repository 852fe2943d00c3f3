"""The rules that every request meets before it is routed, and the headers of every answer.

Without tokens whoever reaches the port may do anything, so that the port must be reached from
this machine alone: not by a page of another origin in a local browser, nor by one whose host
name was pointed at the loopback address. With tokens a page elsewhere has none of its own to
send, so that a browser need not be told of it; what a page may read and send is said to the
browser, for the pages of CORS_ORIGINS, and a socket, which no browser asks about, is checked.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, request
from flask_cors import CORS
from werkzeug.exceptions import UnsupportedMediaType

from app.errors import Forbidden
from web.access import Access
from web.bodies import has_body
from web.callers import set_caller
from web.request_logs import note_caller

#: What a page elsewhere may send beside its body, and read beside the answer's.
_TAKEN_HEADERS = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
]
_SHOWN_HEADERS = [
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
]
#: How long (s) a browser need not ask again.
_PREFLIGHT_HOLDS_S = 600

_DEFAULT_PORTS = {"http": 80, "https": 443}

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def register_security(app: Flask, access: Access) -> None:
    """Guard every route of the app, those of WebSockets among them."""

    def know_caller() -> None:
        if not access.is_open():
            known = access.caller()
            set_caller(known)
            note_caller(known.owner_id)

    def refuse_foreign_sockets() -> None:
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        if is_socket and not _is_own_page() and request.headers["Origin"] not in access.origins:
            raise Forbidden("Origin must be the address that this request goes to, or allowed.")

    app.before_request(refuse_foreign_sockets if access.is_closed else _refuse_foreigners)
    app.before_request(know_caller)
    app.before_request(_refuse_other_media_types)
    app.after_request(_add_headers)
    if access.origins:
        _allow_pages(app, access.origins)


def _allow_pages(app: Flask, origins: Collection[str]) -> None:
    """Tell browsers which pages may send a token here, and read what comes back."""
    CORS(
        app,
        origins=list(origins),
        allow_headers=_TAKEN_HEADERS,
        expose_headers=_SHOWN_HEADERS,
        max_age=_PREFLIGHT_HOLDS_S,
        # Who is no page is told nothing of them.
        always_send=False,
        vary_header=False,
    )
    app.after_request(_vary_by_origin)


def _vary_by_origin(response: Response) -> Response:
    # Of every answer: one that no page may read is as little another page's. The library says it
    # only where it allows one of several.
    response.vary.add("Origin")
    return response


def is_named_loopback() -> bool:
    """Whether the request names this machine by an address that only it has.

    A page elsewhere whose name was pointed here doesn't.
    """
    host = _authority(f"http://{request.headers.get('Host', '')}")
    return host is not None and _is_loopback(host[0])


def _refuse_foreigners() -> None:
    host = _authority(f"http://{request.headers.get('Host', '')}")
    if not is_named_loopback():
        raise Forbidden("Host must be localhost or a loopback address.")
    origin = request.headers.get("Origin")
    if origin is not None and _authority(origin) != host:
        raise Forbidden("Origin must be the address that this request goes to.")


def _is_own_page() -> bool:
    """Whether a page of ours asks, or no page at all.

    What stands before us may speak TLS where we don't: the scheme is the page's.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    scheme = origin.partition("://")[0]
    host = _authority(f"{scheme}://{request.headers.get('Host', '')}")
    return host is not None and _authority(origin) == host


@lru_cache(maxsize=256)
def _authority(url: str) -> tuple[str, int] | None:
    """The host and the port of an origin; None where it isn't one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    is_origin = parts.hostname and url == f"{parts.scheme}://{parts.netloc}" and "@" not in url
    if not is_origin or parts.scheme not in _DEFAULT_PORTS:
        return None
    return str(parts.hostname), port if port is not None else _DEFAULT_PORTS[parts.scheme]


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_other_media_types() -> None:
    """Refuse what a form on a foreign page could send without asking first."""
    if not has_body():
        return
    encoded = request.headers.get("Content-Encoding", "identity").lower() != "identity"
    if request.mimetype != "application/json" or encoded:
        raise UnsupportedMediaType


def _add_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
