"""What every line says that is logged while a request is answered: which one, and whose."""

from __future__ import annotations

import re
import secrets

import structlog
from flask import Flask, Response, g, request

#: By which callers name a request, and are told how it was named.
HEADER = "X-Request-Id"
_ALLOWED = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def register_request_logs(app: Flask) -> None:
    """Name each request, before anything else looks at it, and forget it with its end."""
    app.before_request(_begin)
    app.after_request(_tell)
    app.teardown_request(_end)


def note_caller(owner_id: str) -> None:
    """It is known by now who asks."""
    structlog.contextvars.bind_contextvars(caller=owner_id)


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    g.request_id = given if _ALLOWED.fullmatch(given) else secrets.token_hex(8)
    # What a request before this one left in the thread must not stand in its lines.
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(requestId=g.request_id)


def _tell(response: Response) -> Response:
    if "request_id" in g:
        response.headers[HEADER] = g.request_id
    return response


def _end(_error: BaseException | None) -> None:
    structlog.contextvars.clear_contextvars()
