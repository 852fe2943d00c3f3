"""Many clients of the API in one thread: requests as bytes, answers as far as they must be read.

Made to cost little: the load generator has its share of the same cores.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from app.embedded.ports import LOOPBACK
from benchmarks.api import PREFIX, Refused

_HEADERS_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)

#: An answer that takes longer (s) is none.
PATIENCE_S = 120.0


@dataclass(slots=True)
class Sent:
    """When the first request was sent (s since 1970), and how long each took (s)."""

    began: float = 0.0
    took: list[float] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One connection that sends the next request when the last one was answered."""

    def __init__(self, requests: Iterator[bytes], sent: Sent, done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._sent = sent
        self._done = done
        self._answer = bytearray()
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send_next()

    def data_received(self, data: bytes) -> None:
        """Read on; after a whole answer, ask again."""
        self._answer += data
        end = self._answer.find(_HEADERS_END)
        if end < 0:
            return
        length = _LENGTH.search(self._answer, 0, end)
        if length is None:
            self._fail(Refused("an answer without a length"))
        elif len(self._answer) >= end + len(_HEADERS_END) + int(length[1]):
            self._take_answer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Too early, if there was more to send."""
        self._fail(exc or ConnectionError("the server closed the connection"))

    def _take_answer(self) -> None:
        if self._answer[9:10] != b"2":
            self._fail(Refused(self._answer[:500].decode(errors="replace")))
            return
        self._sent.took.append(time.perf_counter() - self._sent_at)
        self._answer.clear()
        self._send_next()

    def _send_next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._finish()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)
        self._transport.close()

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)


def post_all(port: int, path: str, bodies: Sequence[Mapping[str, Any]], clients: int) -> Sent:
    """Post every body, with so many clients at once. Raises Refused."""
    requests = iter([_request(port, path, body) for body in bodies])
    return asyncio.run(_send(port, requests, clients))


async def _send(port: int, requests: Iterator[bytes], clients: int) -> Sent:
    loop = asyncio.get_running_loop()
    sent = Sent(began=time.time())
    ends = [loop.create_future() for _ in range(clients)]
    for end in ends:
        await loop.create_connection(partial(Client, requests, sent, end), LOOPBACK, port)
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*ends)
    return sent


def _request(port: int, path: str, body: Mapping[str, Any]) -> bytes:
    encoded = json.dumps(body).encode()
    head = (
        f"POST {PREFIX}{path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(encoded)}\r\n\r\n"
    )
    return head.encode() + encoded
