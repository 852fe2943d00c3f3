"""An execution's events over a WebSocket that mends itself."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.client.errors import ClientError, ServerUnreachable, UnexpectedAnswer
from app.client.retrying import CALL, FOLLOW
from app.client.shapes import Event
from app.client.transport import (
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    Transport,
    read_problem,
    read_retry_after,
)

#: A frame is 256 KiB unless one event alone is larger, and an event's data 64 KiB.
MAX_FRAME_BYTES = 4 * 1024 * 1024

OPEN_TIMEOUT_S = 10.0
#: Seconds that the closing handshake may take; nothing is lost by cutting it off.
CLOSE_TIMEOUT_S = 1.0
#: Seconds between our pings, and for an answer: a connection that is dead unseen is noticed.
PING_S = 15.0

#: Handshakes that were refused for now.
_COME_BACK = frozenset({TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE})


class EventStream(Iterator[Event]):
    """Gives each event once, in order, and ends where the execution ends.

    A lost connection is made again, from the event after the last one that came. Raises
    ServerUnreachable when that fails for about a minute, ApiProblem when the API says no.
    """

    def __init__(
        self,
        transport: Transport,
        path: str,
        from_index: int,
        *,
        types: Iterable[str] | None = None,
    ) -> None:
        self._transport = transport
        self._path = path
        self._types = None if types is None else ",".join(types)
        self._ready: deque[Event] = deque()
        self._socket: ClientConnection | None = None
        self._opened = ExitStack()
        self._was_connected = False
        self._failures = 0
        #: The index that comes next: what a later stream begins with to go on here.
        self.next_index = from_index
        #: The execution's final status, once the stream has ended.
        self.status: str | None = None

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> Event:
        while not self._ready:
            if self.status is not None:
                raise StopIteration
            self._receive()
        return self._ready.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave; the execution goes on."""
        self._socket = None
        self._opened.close()

    def _receive(self) -> None:
        """Take a frame, or make the connection again."""
        try:
            self._socket = self._socket or self._connect()
            frame = self._socket.recv()
        except InvalidStatus as error:
            self._on_refused(error)
        except (ConnectionClosed, InvalidHandshake, OSError) as error:
            # Also a close with 1012: the server restarts, and we go on where we are.
            self._on_lost(ServerUnreachable(f"{self._transport.base_url}: {error}"))
        else:
            self._failures = 0
            self._take(frame)

    def _connect(self) -> ClientConnection:
        wanted = {"fromIndex": self.next_index, "eventTypes": self._types}
        socket = connect(
            self._transport.socket_url(self._path, wanted),
            additional_headers=self._transport.headers,
            proxy=True if self._transport.uses_proxy else None,
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=MAX_FRAME_BYTES,
        )
        self._opened.enter_context(socket)
        self._was_connected = True
        return socket

    def _on_refused(self, error: InvalidStatus) -> None:
        answer = error.response
        url = self._transport.url(self._path)
        problem = read_problem(answer.status_code, bytes(answer.body or b""), url)
        if answer.status_code not in _COME_BACK:
            raise problem
        self._on_lost(problem, read_retry_after(answer.headers))

    def _on_lost(self, error: ClientError, retry_after_s: float | None = None) -> None:
        self.close()
        self._failures += 1
        patience = FOLLOW if self._was_connected else CALL
        if self._failures >= patience.attempts:
            raise error
        self._transport.pause(patience.pause_s(self._failures, retry_after_s))

    def _take(self, text: str | bytes) -> None:
        try:
            frame: dict[str, Any] = json.loads(text)
            self._ready.extend(map(Event.from_json, frame.get("events", ())))
            self.next_index = frame["nextIndex"]
            if frame.get("end"):
                self.status = frame["status"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnexpectedAnswer(f"a frame of events can't be read: {error!r}") from error
        if self.status is not None:
            self.close()
