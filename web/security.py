"""The rules that every request meets before it is routed, and the headers of every answer.

Without authentication whoever reaches the port may do anything, so that the port must be
reached from this machine alone: not by a page of another origin in a local browser, nor by
one whose host name was pointed at the loopback address.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from app.caller import LOCAL
from app.errors import Forbidden
from web.bodies import has_body
from web.callers import set_caller

_DEFAULT_PORTS = {"http": 80, "https": 443}

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def register_security(app: Flask) -> None:
    """Guard every route of the app, those of WebSockets among them."""
    app.before_request(_refuse_foreigners)
    app.before_request(_refuse_other_media_types)
    app.before_request(_know_caller)
    app.after_request(_add_headers)


def _know_caller() -> None:
    set_caller(LOCAL)


def _refuse_foreigners() -> None:
    host = _authority(f"http://{request.headers.get('Host', '')}")
    if host is None or not _is_loopback(host[0]):
        raise Forbidden("Host must be localhost or a loopback address.")
    origin = request.headers.get("Origin")
    if origin is not None and _authority(origin) != host:
        raise Forbidden("Origin must be the address that this request goes to.")


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
