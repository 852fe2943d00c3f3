"""The problems that a route may answer with, as its OpenAPI description names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from web.problems import MEDIA_TYPE

Json = dict[str, Any]

_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which it is worth while to ask again.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_AUTHENTICATE = {
    "WWW-Authenticate": {"description": "How to say who calls.", "schema": {"const": "Bearer"}}
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem: its name among the responses, when it comes, and an example of it."""

    name: str
    when: str
    title: str
    code: str
    detail: str
    headers: Mapping[str, Json] | None = None
    errors: tuple[tuple[str, str], ...] = ()

    def response(self, status: int, schema: Json) -> Json:
        """Describe it."""
        example: Json = {
            "type": f"/problems/{self.code.lower().replace('_', '-')}",
            "title": self.title,
            "status": status,
            "detail": self.detail,
            "instance": "/api/v1/executions",
            "code": self.code,
        }
        if self.errors:
            example["errors"] = [
                {"pointer": pointer, "message": message} for pointer, message in self.errors
            ]
        described: Json = {"description": self.when}
        if self.headers:
            described["headers"] = dict(self.headers)
        content = {MEDIA_TYPE: {"schema": schema, "example": example}}
        return {**described, "content": content}


REFUSALS: Mapping[int, Refusal] = {
    400: Refusal(
        "BadRequest",
        "The request can't be read: a body that isn't JSON, a cursor that is none of ours.",
        "Bad Request",
        "BAD_REQUEST",
        "The body is not JSON.",
    ),
    401: Refusal(
        "Unauthorized",
        "Tokens are asked for, and there is none, or a wrong or a revoked one.",
        "Unauthorized",
        "UNAUTHORIZED",
        "A token is required.",
        _AUTHENTICATE,
    ),
    403: Refusal(
        "Forbidden",
        "The caller may not do that: another owner's flow, an admin's command, a foreign page.",
        "Forbidden",
        "FORBIDDEN",
        "User does not own this flow",
    ),
    404: Refusal(
        "NotFound",
        "There is no such thing, or it is another owner's.",
        "Not Found",
        "NOT_FOUND",
        "There is no execution 'EX2222222222222222222222'",
    ),
    409: Refusal(
        "Conflict",
        "It is in a status, or of a kind, that doesn't allow this.",
        "Conflict",
        "CONFLICT",
        "Cannot pause execution in status completed",
    ),
    412: Refusal(
        "PreconditionFailed",
        "It has changed since the version in If-Match.",
        "Precondition Failed",
        "PRECONDITION_FAILED",
        "The resource has changed since the version in If-Match.",
    ),
    413: Refusal(
        "PayloadTooLarge",
        "The body is larger than MAX_BODY_BYTES.",
        "Request Entity Too Large",
        "PAYLOAD_TOO_LARGE",
        "The body is larger than MAX_BODY_BYTES.",
    ),
    415: Refusal(
        "UnsupportedMediaType",
        "There is a body, and it isn't application/json.",
        "Unsupported Media Type",
        "UNSUPPORTED_MEDIA_TYPE",
        "A body must be sent as application/json.",
    ),
    422: Refusal(
        "ValidationError",
        "A member or a parameter is missing, of the wrong type, out of bounds or unknown, or a"
        " flow can't run; `errors` names each fault.",
        "Unprocessable Entity",
        "VALIDATION_ERROR",
        "The body is not valid.",
        errors=(("/flowId", "is required"),),
    ),
    429: Refusal(
        "TooManyRequests",
        "The caller calls more often than RATE_LIMIT allows, or too much is kept already.",
        "Too Many Requests",
        "TOO_MANY_REQUESTS",
        "You call more often than RATE_LIMIT allows.",
        _RETRY_AFTER,
    ),
    500: Refusal(
        "Internal",
        "A fault of ours; `errorId` finds it in the log.",
        "Internal Server Error",
        "INTERNAL",
        "Something went wrong on our side; the log has it under 0123456789abcdef.",
    ),
    503: Refusal(
        "ServiceUnavailable",
        "The database can't be reached, or as many are served as can be.",
        "Service Unavailable",
        "SERVICE_UNAVAILABLE",
        "The database can't be reached.",
        _RETRY_AFTER,
    ),
}


def components(schema: Json) -> Json:
    """All of them, for `$ref`; `schema` is that of a problem."""
    return {each.name: each.response(status, schema) for status, each in REFUSALS.items()}


def reference(status: int) -> Json:
    """Refer to one of them."""
    return {"$ref": f"#/components/responses/{REFUSALS[status].name}"}


def refusals_of(
    *, is_open: bool, is_about_one: bool, takes: bool, has_body: bool, has_cursor: bool
) -> Iterator[int]:
    """What a route may answer with, whatever it is about.

    `is_open` says that nobody is asked for a token, `is_about_one` that its address names a
    thing, `takes` that what it is given is checked.
    """
    yield from (403, 415, 500)
    if not is_open:
        yield from (401, 429, 503)
    if is_about_one:
        yield 404
    if takes:
        yield 422
    if has_body or has_cursor:
        yield 400
    if has_body:
        yield 413
