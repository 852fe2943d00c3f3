"""An execution's events over a WebSocket that mends itself."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from websockets.asyncio.client import ClientConnection as AsyncClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
)
from websockets.sync.client import ClientConnection
from websockets.sync.client import reconnect as connect_sync

from app.client.address import Address
from app.client.calls import at
from app.client.closing import AsyncClosing, Closing
from app.client.errors import ClientError, ServerUnreachable, UnexpectedAnswer
from app.client.procedures import AWAY, TOO_MANY_REQUESTS, read_problem, read_retry_after
from app.client.retrying import CALL, FOLLOW, Patience
from app.client.shapes import Event
from app.config.urls import masked

#: A frame is 256 KiB unless one event alone is larger, and an event's data 64 KiB.
MAX_FRAME_BYTES = 4 * 1024 * 1024

OPEN_TIMEOUT_S = 10.0
#: Seconds that the closing handshake may take; nothing is lost by cutting it off.
CLOSE_TIMEOUT_S = 1.0
#: Seconds between our pings, and for an answer: a connection that is dead unseen is noticed.
PING_S = 15.0

#: Seconds after which a connection has stood: that it is lost then is a failure of its own, and
#: not one more of those before it. What waits for long has no frames, and may be cut off hourly.
STOOD_S = 30.0

#: Handshakes that were refused for now.
_COME_BACK = AWAY | {TOO_MANY_REQUESTS}

#: What is wrong with where to go: no other try goes elsewhere.
_NO_WAY = (InvalidURI, InvalidProxy)

#: How a connection is lost, or isn't made. A close with 1012 is one, too: the server restarts.
LOSSES = (ConnectionClosed, InvalidHandshake, OSError, *_NO_WAY)


class _Connect(connect_sync):
    """Goes nowhere else: a redirect is an answer, and none of the API's, as for every call."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _ConnectAsync(connect_async):
    """The same, awaited."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Course:
    """Where a reader of events is, and what it does about each loss. No input, no output."""

    def __init__(
        self,
        execution_id: str,
        from_index: int,
        types: Iterable[str] | None,
        *,
        clock: Callable[[], float],
        patience: Patience = CALL,
    ) -> None:
        self._path = at("executions", execution_id, "events")
        self._types = None if types is None else ",".join(types)
        self._patience = patience
        self._clock = clock
        self._failures = 0
        self._connected_at: float | None = None
        self.ready: deque[Event] = deque()
        self.next_index = from_index
        self.status: str | None = None
        #: Whether another frame may come.
        self.expects_more = True

    def connection(self, address: Address) -> tuple[str, dict[str, Any]]:
        """The address and the options of the connection that goes on from here."""
        wanted = {"fromIndex": self.next_index, "eventTypes": self._types}
        return address.socket_url(self._path, wanted), {
            "additional_headers": address.headers,
            "proxy": True if address.uses_proxy else None,
            "compression": None,
            "open_timeout": OPEN_TIMEOUT_S,
            "close_timeout": CLOSE_TIMEOUT_S,
            "ping_interval": PING_S,
            "ping_timeout": PING_S,
            "max_size": MAX_FRAME_BYTES,
        }

    def connected(self) -> None:
        """Note that there is a connection: one that is lost again is sought for longer."""
        self._patience = FOLLOW
        self._connected_at = self._clock()

    def take(self, text: str | bytes) -> None:
        """Read a frame. Raises UnexpectedAnswer."""
        self.expects_more = False
        try:
            frame: dict[str, Any] = json.loads(text)
            self.ready.extend(map(Event.from_json, frame.get("events", ())))
            self.next_index = frame["nextIndex"]
            if frame.get("end"):
                self.status = frame["status"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnexpectedAnswer(f"a frame of events can't be read: {error!r}") from error
        self.expects_more = self.status is None
        self._failures = 0

    def pause_s(self, loss: Exception, address: Address) -> float:
        """How long to wait after a loss before the next try. Raises ClientError: no more tries."""
        error, retry_after_s = self._told(loss, address)
        connected_at, self._connected_at = self._connected_at, None
        if connected_at is not None and self._clock() - connected_at >= STOOD_S:
            self._failures = 0
        self._failures += 1
        if self._failures >= self._patience.attempts:
            raise error
        return self._patience.pause_s(self._failures, retry_after_s)

    def _told(self, loss: Exception, address: Address) -> tuple[ClientError, float | None]:
        unreachable = ServerUnreachable(f"{masked(address.base_url)} can't be reached: {loss}")
        if isinstance(loss, _NO_WAY):
            raise unreachable from loss
        if not isinstance(loss, InvalidStatus):
            return unreachable, None
        answer = loss.response
        url = address.url(self._path)
        problem = read_problem(answer.status_code, bytes(answer.body or b""), masked(url))
        if answer.status_code not in _COME_BACK:
            raise problem
        return problem, read_retry_after(answer.headers)


class _Reader:
    """What streams of both kinds tell."""

    def __init__(self, course: Course, address: Address) -> None:
        self._course = course
        self._address = address

    @property
    def next_index(self) -> int:
        """The index that comes next: what a later stream begins with to go on here."""
        ready = self._course.ready
        return ready[0].index if ready else self._course.next_index

    @property
    def status(self) -> str | None:
        """The execution's final status, once all events are here."""
        return self._course.status


class EventStream(_Reader, Iterator[Event], Closing):
    """Gives each event once, in order, and ends where the execution ends.

    A lost connection is made again, from the event after the last one that came. Raises
    ServerUnreachable when that fails for about a minute, ApiProblem when the API says no.
    """

    def __init__(self, course: Course, address: Address, pause: Callable[[float], None]) -> None:
        super().__init__(course, address)
        self._pause = pause
        self._socket: ClientConnection | None = None
        self._opened = ExitStack()

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> Event:
        while not self._course.ready:
            if self._course.status is not None:
                raise StopIteration
            self._receive()
        return self._course.ready.popleft()

    def close(self) -> None:
        """Leave; the execution goes on."""
        self._socket = None
        self._opened.close()

    def _receive(self) -> None:
        """Take a frame, or make the connection again."""
        try:
            if self._socket is None:
                url, options = self._course.connection(self._address)
                self._socket = self._opened.enter_context(_Connect(url, **options))
                self._course.connected()
            frame = self._socket.recv()
        except LOSSES as loss:
            self.close()
            self._pause(self._course.pause_s(loss, self._address))
            return
        try:
            self._course.take(frame)
        finally:
            # At its end, and where it is no frame of ours.
            if not self._course.expects_more:
                self.close()


class AsyncEventStream(_Reader, AsyncIterator[Event], AsyncClosing):
    """The same for `async for`."""

    def __init__(
        self, course: Course, address: Address, pause: Callable[[float], Awaitable[None]]
    ) -> None:
        super().__init__(course, address)
        self._pause = pause
        self._socket: AsyncClientConnection | None = None

    def __aiter__(self) -> AsyncEventStream:
        return self

    async def __anext__(self) -> Event:
        while not self._course.ready:
            if self._course.status is not None:
                raise StopAsyncIteration
            await self._receive()
        return self._course.ready.popleft()

    async def close(self) -> None:
        """Leave; the execution goes on."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def _receive(self) -> None:
        """Take a frame, or make the connection again."""
        try:
            if self._socket is None:
                url, options = self._course.connection(self._address)
                self._socket = await _ConnectAsync(url, **options)
                self._course.connected()
            frame = await self._socket.recv()
        except LOSSES as loss:
            await self.close()
            await self._pause(self._course.pause_s(loss, self._address))
            return
        try:
            self._course.take(frame)
        finally:
            if not self._course.expects_more:
                await self.close()
