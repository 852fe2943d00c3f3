"""One question to a server with the OpenAI chat API, its answer read piece by piece as it comes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from app.errors import NodeError, NonRetryableError
from app.nodes.outbound.connection import GuardedBackend, GuardedTransport
from app.nodes.outbound.exchange import NetworkFailure

#: Seconds until a connection stands, and between two parts of an answer.
CONNECT_S = 30.0
SILENCE_S = 120.0

#: Bytes of an answer as it comes over the line: pieces come wrapped in JSON of their own.
MAX_WIRE_BYTES = 64 * 1024 * 1024
#: Characters of what a server says about an error.
MAX_COMPLAINT = 1000

#: Statuses that another attempt may not meet.
_PASSING = frozenset({408, 409, 425, 429})


class ServerBusy(NetworkFailure):
    """The server can't answer now; `after_s` is how long it asks to be left alone, if it says."""

    def __init__(self, message: str, after_s: float | None) -> None:
        super().__init__(message)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class ChatQuestion:
    """Where to ask (the URL of `…/chat/completions`), with which key, and what."""

    url: str
    api_key: str | None
    idempotency_key: str
    body: Mapping[str, Any]


async def ask(
    question: ChatQuestion, backend: GuardedBackend, on_piece: Callable[[str], object]
) -> str:
    """Ask, hand on each piece of the answer, and give the whole of it.

    Raises NetworkFailure (ServerBusy, if the server said so) where trying again may help,
    NonRetryableError where it can't.
    """
    try:
        async with _response(question, backend) as response:
            if not response.is_success:
                await _refused(response)
            if "text/event-stream" in response.headers.get("Content-Type", ""):
                return await _streamed(response, on_piece)
            return await _whole(response, on_piece)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise NonRetryableError(f"the request can't be sent: {error}") from error
    except httpx.TimeoutException as error:
        raise NetworkFailure(f"the server fell silent ({type(error).__name__})") from error
    except httpx.TransportError as error:
        raise NetworkFailure(f"no answer: {str(error) or type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise NodeError(f"the answer can't be read: {error}") from error


@asynccontextmanager
async def _response(
    question: ChatQuestion, backend: GuardedBackend
) -> AsyncIterator[httpx.Response]:
    headers = {
        "Accept": "text/event-stream",
        "Content-Type": "application/json",
        "Idempotency-Key": question.idempotency_key,
        "User-Agent": "chaingraph",
    }
    if question.api_key is not None:
        headers["Authorization"] = f"Bearer {question.api_key}"
    client = httpx.AsyncClient(
        transport=GuardedTransport(backend),
        timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S),
        # A key goes nowhere but to the server that it was meant for.
        follow_redirects=False,
        trust_env=False,
    )
    content = json.dumps(question.body).encode()
    async with (
        client,
        client.stream("POST", question.url, headers=headers, content=content) as response,
    ):
        yield response


async def _refused(response: httpx.Response) -> None:
    """Raise what the server said."""
    status = response.status_code
    message = f"the server answers {status}: {_complaint(await _text(response))}"
    if status in _PASSING or status >= 500:
        raise ServerBusy(message, _retry_after_s(response.headers.get("Retry-After")))
    raise NonRetryableError(message)


async def _streamed(response: httpx.Response, on_piece: Callable[[str], object]) -> str:
    pieces: list[str] = []
    is_ended = False
    async for line in _lines(response):
        name, _, value = line.partition(":")
        if name != "data":
            continue
        data = value.strip()
        if data == "[DONE]":
            return "".join(pieces)
        choice = _choice(_parsed(data))
        piece = _member(choice, "delta", "content")
        if piece:
            pieces.append(piece)
            on_piece(piece)
        is_ended = is_ended or choice.get("finish_reason") is not None
    if not is_ended:
        raise NetworkFailure("the server broke off in the middle of its answer")
    return "".join(pieces)


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    """The lines of an answer.

    httpx splits at all that Unicode ends lines with, which JSON may hold as it is, and keeps a
    line of any length.
    """
    rest = bytearray()
    async for part in _parts(response):
        # Only what is new can end the line.
        searched = len(rest)
        rest += part
        if rest.find(b"\n", searched) < 0:
            continue
        *lines, last = bytes(rest).split(b"\n")
        rest = bytearray(last)
        for line in lines:
            yield _decoded(line)
    yield _decoded(rest)


async def _parts(response: httpx.Response) -> AsyncIterator[bytes]:
    """The answer as it comes. Raises NonRetryableError where there is no end to it."""
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MAX_WIRE_BYTES:
            raise NonRetryableError(f"the answer is longer than {MAX_WIRE_BYTES} bytes")
        yield part


def _decoded(data: bytes | bytearray) -> str:
    return data.decode("utf-8", "replace")


async def _whole(response: httpx.Response, on_piece: Callable[[str], object]) -> str:
    """The answer of a server that doesn't stream."""
    message = _member(_choice(_parsed(await _text(response))), "message", "content")
    if message is None:
        raise NodeError("the answer holds no text")
    on_piece(message)
    return message


async def _text(response: httpx.Response) -> str:
    body = bytearray()
    async for part in _parts(response):
        body += part
    return _decoded(body)


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NodeError("the answer is not what a server with the chat API says") from error
    if not isinstance(value, dict):
        raise NodeError("the answer is not what a server with the chat API says")
    if value.get("error"):
        raise NodeError(f"the server breaks off: {_complaint(text)}")
    return value


def _choice(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first of the answers; none where it only tells what was used."""
    choices = said.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    return first if isinstance(first, dict) else {}


def _member(choice: Mapping[str, Any], *path: str) -> str | None:
    value: Any = choice
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def _complaint(body: str) -> str:
    """What is wrong, in the server's words."""
    try:
        error = json.loads(body)["error"]
        said = error["message"] if isinstance(error, dict) else error
    except (ValueError, RecursionError, KeyError, TypeError):
        said = body
    words = " ".join(str(said).split())
    return words[:MAX_COMPLAINT] or "nothing more"


def _retry_after_s(header: str | None) -> float | None:
    """How long to stay away, as seconds or as a date say it; None where neither is there."""
    if header is None:
        return None
    if header.isascii() and header.isdigit() and len(header) < 10:
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
