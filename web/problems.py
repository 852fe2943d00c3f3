"""Every error as `application/problem+json` (RFC 9457), whoever raised it.

Nothing of an exception but the message of our own tree ever reaches the caller.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # it has none
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.http import HTTP_STATUS_CODES

from app.errors import Fault, RequestError, StoreUnavailable, TooManyRequests, ValidationFailed
from web.answers import encode

MEDIA_TYPE = "application/problem+json"
#: How long (s) a caller should wait before it asks again.
RETRY_AFTER_S = 1

STATUS_OF = {
    "VALIDATION_ERROR": 422,
    "SECRET_KEY_MISSING": 422,
    "BAD_REQUEST": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "PRECONDITION_FAILED": 412,
    "CONFLICT": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "TOO_MANY_REQUESTS": 429,
    "SERVICE_UNAVAILABLE": 503,
    "INTERNAL": 500,
}
_CODE_OF = {status: code for code, status in reversed(STATUS_OF.items())}

_ASK_AGAIN = {STATUS_OF["SERVICE_UNAVAILABLE"], STATUS_OF["TOO_MANY_REQUESTS"]}

#: What the HTTP layer finds, in our words: werkzeug's are written for people in browsers.
_DETAIL_OF = {
    400: "The request can't be read.",
    404: "There is no such resource.",
    405: "This resource doesn't take that method.",
    412: "The resource has changed since the version in If-Match.",
    413: "The body is larger than MAX_BODY_BYTES.",
    415: "A body must be sent as application/json.",
}

_log = logging.getLogger(__name__)


def register_problems(app: Flask) -> None:
    """Make the app answer every exception with a problem."""
    app.register_error_handler(ValidationFailed, _from_faults)
    app.register_error_handler(RequestError, _from_request_error)
    app.register_error_handler(TooManyRequests, _from_too_many)
    app.register_error_handler(StoreUnavailable, _from_lost_store)
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(ParseException, _from_broken_chunks)
    # The one boundary for surprises: a bug is logged with its traceback, and answered without.
    app.register_error_handler(Exception, _from_bug)


def problem(code: str, detail: str, *, status: int | None = None, **more: Any) -> Response:
    """Answer with a problem; `more` are its further members."""
    status = status or STATUS_OF[code]
    body = {**members_of(code, status, detail, quote(request.path)), **more}
    response = Response(encode(body), status=status, mimetype=MEDIA_TYPE)
    if status in _ASK_AGAIN:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if status == STATUS_OF["UNAUTHORIZED"]:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def members_of(code: str, status: int, detail: str, instance: str) -> dict[str, Any]:
    """Write what every problem has; `instance` is the path that was asked for."""
    return {
        "type": f"/problems/{code.lower().replace('_', '-')}",
        "title": HTTP_STATUS_CODES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
    }


def code_of(status: int) -> str:
    """Name a status: ours where we have a name, else that of HTTP."""
    return _CODE_OF.get(status) or HTTP_STATUS_CODES.get(status, "ERROR").upper().replace(" ", "_")


def listed(faults: Sequence[Fault]) -> list[dict[str, str]]:
    """Write faults as answers carry them."""
    return [{"pointer": fault.pointer, "message": fault.message} for fault in faults]


def _from_faults(error: ValidationFailed) -> Response:
    return problem(error.code, error.message, errors=listed(error.faults))


def _from_request_error(error: RequestError) -> Response:
    return problem(error.code, error.message)


def _from_too_many(error: TooManyRequests) -> Response:
    response = problem(error.code, error.message)
    response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _from_lost_store(error: StoreUnavailable) -> Response:
    _log.warning("database unavailable: %s", error.message)
    return problem("SERVICE_UNAVAILABLE", "The database can't be reached.")


def _from_http(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if status < 400:
        return error
    if isinstance(error, InternalServerError):
        return _from_bug(error.original_exception or error)
    detail = _DETAIL_OF.get(status) or error.description or "The request can't be carried out."
    response = problem(code_of(status), detail, status=status)
    for name, value in error.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def _from_broken_chunks(_error: ParseException) -> Response:
    return problem("BAD_REQUEST", "The body breaks the rules of its transfer encoding.")


def _from_bug(error: BaseException) -> Response:
    error_id = secrets.token_hex(8)
    _log.error("unhandled error %s", error_id, exc_info=error, extra={"errorId": error_id})
    detail = f"Something went wrong on our side; the log has it under {error_id}."
    return problem("INTERNAL", detail, errorId=error_id)
