"""Reading a request's body: JSON, and of a kind that can be stored and written again."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import orjson
from flask import Flask, Response, current_app, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # it has none
from werkzeug.exceptions import RequestEntityTooLarge

from app.errors import BadRequest, Fault, ValidationFailed

#: Objects and arrays within each other. What is stored must also be written again, inside
#: events and answers, by encoders that stop at 254.
MAX_DEPTH = 100

#: How much of a body that is too large is read and forgotten, and in what pieces.
MAX_DISCARDED_BYTES = 64 * 1024 * 1024
DISCARD_CHUNK_BYTES = 256 * 1024

#: Its name in the app's configuration.
MAX_BODY_BYTES = "MAX_BODY_BYTES"

_WAS_READ = "chaingraph.body_was_read"

_NOT_JSON = "The body is not JSON."
_TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"
_NO_NUL = "must not hold the character NUL (U+0000)"
_NO_SURROGATE = "must not hold half of a surrogate pair"
_TOO_LARGE = "is larger than a number can be"

_Step = tuple["_Step | None", str | int]


def register_bodies(app: Flask, max_body_bytes: int) -> None:
    """Refuse larger bodies, those of unknown length among them; read none by half."""
    app.after_request(_discard_unread)
    app.config[MAX_BODY_BYTES] = max_body_bytes
    # Flask cuts a body of unknown length off at its limit without a word: the byte more shows
    # that there was one.
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes + 1


def read_object() -> dict[str, Any]:
    """Read the body as a JSON object; no body at all counts as `{}`.

    Raises BadRequest where it isn't JSON, ValidationFailed where it is, but can't be taken,
    RequestEntityTooLarge where it isn't even read to its end.
    """
    value = read_value()
    if not isinstance(value, dict):
        raise ValidationFailed([Fault("", "must be an object")])
    return value


def read_value() -> Any:
    """Read the body as any JSON; no body at all counts as `{}`. Raises as `read_object` does."""
    body = _read()
    return _parse(body) if body else {}


def has_body() -> bool:
    """Whether the request has a body, of whatever length and type."""
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def pointer_to(*steps: str | int) -> str:
    """Write the way to a place in a document as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def _read() -> bytes:
    body = request.get_data(cache=False)
    if len(body) > current_app.config[MAX_BODY_BYTES]:
        raise RequestEntityTooLarge
    request.environ[_WAS_READ] = True
    return body


def _discard_unread(response: Response) -> Response:
    """Let the client finish: most look for the answer only once they have sent everything."""
    if has_body() and _WAS_READ not in request.environ:
        stream = request.environ["wsgi.input"]
        left = min(request.content_length or MAX_DISCARDED_BYTES, MAX_DISCARDED_BYTES)
        # Whatever is wrong with the rest: the request has its answer.
        with suppress(OSError, ParseException):
            while left > 0 and (chunk := stream.read(min(left, DISCARD_CHUNK_BYTES))):
                left -= len(chunk)
    return response


def _parse(body: bytes) -> Any:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _why_unreadable(body) from None
    # Both are rare and cost a walk to find, a glance at the bytes to rule out.
    if b"\\u0000" in body and (faults := _find(value, _has_nul, _NO_NUL)):
        raise ValidationFailed(faults)
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_too_deep(value):
        raise ValidationFailed([Fault("", _TOO_DEEP)])
    return value


def _why_unreadable(body: bytes) -> Exception:
    """Tell JSON that can't be represented (a fault of the document) from what isn't JSON."""
    try:
        value = json.loads(
            body.decode(), parse_int=float, parse_float=float, parse_constant=_no_constant
        )
    except RecursionError:
        return ValidationFailed([Fault("", _TOO_DEEP)])
    except ValueError:
        return BadRequest(_NOT_JSON)
    if _is_too_deep(value):
        return ValidationFailed([Fault("", _TOO_DEEP)])
    faults = _find(value, _is_too_large, _TOO_LARGE) + _find(value, _has_surrogate, _NO_SURROGATE)
    return ValidationFailed(faults) if faults else BadRequest(_NOT_JSON)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _is_too_large(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)


def _has_nul(value: Any) -> bool:
    return isinstance(value, str) and "\0" in value


def _has_surrogate(value: Any) -> bool:
    return isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value)


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return any(isinstance(value, dict | list) for value in level)


def _find(value: Any, is_bad: Callable[[Any], bool], message: str) -> list[Fault]:
    return [Fault(_pointer(step), message) for step in _places(value, is_bad)]


def _places(value: Any, is_bad: Callable[[Any], bool]) -> Iterator[_Step | None]:
    """Walk a document without recursion; a bad key is found where its value stands."""
    rest: list[tuple[_Step | None, Any]] = [(None, value)]
    while rest:
        step, value = rest.pop()
        if is_bad(value):
            yield step
        elif isinstance(value, dict):
            for key, child in value.items():
                if is_bad(key):
                    yield step
                rest.append(((step, key), child))
        elif isinstance(value, list):
            rest.extend(((step, place), child) for place, child in enumerate(value))


def _pointer(step: _Step | None) -> str:
    way: list[str | int] = []
    while step is not None:
        step, key = step
        way.append(key)
    return pointer_to(*reversed(way))
