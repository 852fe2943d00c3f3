"""One HTTP request and the whole of its answer, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from app.errors import NodeError
from app.nodes.outbound.connection import GuardedBackend, GuardedTransport

MAX_REDIRECTS = 5


class NetworkFailure(NodeError):
    """No answer came: the server was not reached, broke off, or took too long."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is sent; `timeout_s` bounds the whole exchange, redirects and body included."""

    method: str
    url: str
    headers: Sequence[tuple[str, bytes]]
    body: bytes
    timeout_s: float | None
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `text` is the body as its headers say it is encoded."""

    status: int
    body: bytes
    text: str


async def exchange(question: Question, backend: GuardedBackend) -> Answer:
    """Send a request, follow its redirects, and read the answer.

    Raises NetworkFailure where trying again may help, NodeError where it can't.
    """
    try:
        async with asyncio.timeout(question.timeout_s):
            return await _converse(question, backend)
    except TimeoutError as error:
        raise NetworkFailure(f"no answer within {question.timeout_s:g} s") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise NodeError(f"the request can't be sent: {error}") from error
    except httpx.TransportError as error:
        raise NetworkFailure(f"no answer: {str(error) or type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise NodeError(f"the answer can't be read: {error}") from error


async def _converse(question: Question, backend: GuardedBackend) -> Answer:
    client = httpx.AsyncClient(
        transport=GuardedTransport(backend),
        timeout=None,  # noqa: S113 - one limit stands over the whole of the exchange
        follow_redirects=False,
        trust_env=False,
    )
    async with client:
        request: httpx.Request | None = client.build_request(
            question.method,
            question.url,
            headers=[(name.encode("ascii"), value) for name, value in question.headers],
            content=question.body or None,
        )
        for _ in range(MAX_REDIRECTS + 1):
            assert request is not None, "the loop goes on only with a redirect"
            response = await client.send(request, stream=True)
            try:
                # Redirects are followed here, for httpx reads their bodies without a limit.
                if response.next_request is None:
                    return await _answer(response, question.max_bytes)
            finally:
                await response.aclose()
            request = response.next_request
    raise NodeError(f"more than {MAX_REDIRECTS} redirects")


async def _answer(response: httpx.Response, max_bytes: int) -> Answer:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > max_bytes:
            raise NodeError(f"the answer is longer than {max_bytes} bytes")
    return Answer(response.status_code, bytes(body), _decoded(response, bytes(body)))


def _decoded(response: httpx.Response, body: bytes) -> str:
    return body.decode(response.charset_encoding or "utf-8", "replace")
