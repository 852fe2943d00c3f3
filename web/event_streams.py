"""Server-Sent Events: the events of an execution, to who accepts `text/event-stream`.

The address is that of the pages of events. The connection is taken out of the server's hands, as
that of a WebSocket is: it ends without `event: end` where the client is to come again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from werkzeug.http import http_date

from app.errors import Fault, ServiceUnavailable, ValidationFailed
from app.events.wire import to_json
from app.streams.relay import End, Events, Wanted
from web.access import Access
from web.callers import caller
from web.description import EVENT_STREAM, JSON
from web.inputs import read_query
from web.loop import SocketLoop
from web.relay import Relay
from web.schemas import MAX_INTEGER, EventsQuery
from web.sockets import Connection, Patience, take_over

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LAST_EVENT_ID = "Last-Event-ID"
#: A line that means nothing, so often (s) while there is nothing to say.
PING_EVERY_S = 15.0
PING = b": ping\n\n"

_FORM = "event stream"
#: Whatever serves puts the connection of a request here.
_SOCKETS = ("gunicorn.socket", "werkzeug.socket")


class EventStream(Connection):
    """A connection on which an answer of Server-Sent Events goes out, its `head` first."""

    def __init__(
        self, raw: socket.socket, head: bytes, loop: SocketLoop, patience: Patience
    ) -> None:
        super().__init__(raw, loop, patience)
        # As what is left of a message: whoever sends first, and however soon, comes after it.
        self._unsent = head

    def send_events(self, events: Events) -> None:
        """Send events. Without effect once it isn't open."""
        message = events.forms.get(_FORM)
        if message is None:
            message = b"".join(
                b"id: %d\nevent: %b\ndata: %b\n\n" % (each.index, each.type.encode(), each.envelope)
                for each in events.events
            )
            events.forms[_FORM] = message
        # A batch of which nothing is wanted is no message.
        if message:
            self._send(message)

    def send_end(self, end: End) -> None:
        """Send that there are no more events. Without effect once it isn't open."""
        data = to_json({"status": end.status, "nextIndex": end.next_index})
        self._send(b"event: end\ndata: %b\n\n" % data)

    def close(self, code: int, reason: str = "") -> None:  # noqa: ARG002 — there is no way to say
        """End after what was sent."""
        with self._lock:
            if self.is_open:
                self._end_with(b"")
        self._loop.look(self)

    def _hear(self, data: bytes) -> None:
        """Nobody listens."""

    def _ping(self, now: float) -> None:
        if now >= self._next_ping:
            self._next_ping = now + self._patience.ping_every_s
            self._push(PING)


class _HandedOver(Response):
    """An answer that goes out on the connection itself; its server gets a dead end."""

    def __init__(self, begin: Callable[[bytes], object]) -> None:
        super().__init__(content_type=f"{EVENT_STREAM}; charset=utf-8")
        self._begin = begin

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self._begin(self._written())
        if "gunicorn.socket" in environ:
            # How gunicorn is told that a connection isn't its own any more.
            raise StopIteration
        return super().__call__(environ, start_response)

    def _written(self) -> bytes:
        kept = [each for each in self.headers if each[0].lower() != "content-length"]
        lines = [
            f"HTTP/1.1 {self.status}",
            f"Date: {http_date()}",
            *(f"{name}: {value}" for name, value in kept),
            "X-Accel-Buffering: no",
            "Connection: close",
            "",
            "",
        ]
        return "\r\n".join(lines).encode("latin-1")


def register_event_streams(
    app: Flask,
    relay: Relay,
    loop: SocketLoop,
    who_may: Access,
    patience: Patience,
    is_asked: Callable[[], bool],
) -> None:
    """Answer those who accept a stream; `is_asked` says whether a request is for events."""

    def serve() -> Response | None:
        # What a browser asks beforehand has no caller, and no events.
        if request.method == "OPTIONS" or not is_asked() or not _accepts_stream():
            return None
        wanted, execution_id = _wanted(), (request.view_args or {})["execution_id"]
        head, ticket = relay.head(execution_id, caller()), who_may.ticket()
        if request.method == "HEAD":
            return Response(content_type=f"{EVENT_STREAM}; charset=utf-8")
        served = _connection()
        relay.take_place()
        g.relay_place = True

        def begin(answer: bytes) -> None:
            client = EventStream(take_over(served), answer, loop, patience)
            # From here on it is the relay's to give back.
            g.relay_place = False
            relay.serve(client, execution_id, head, wanted, ticket)

        return _HandedOver(begin)

    app.before_request(serve)


def _accepts_stream() -> bool:
    return request.accept_mimetypes.best_match([JSON, EVENT_STREAM]) == EVENT_STREAM


def _wanted() -> Wanted:
    """What the client has yet to get. Raises ValidationFailed."""
    query = read_query(EventsQuery)
    last = request.headers.get(LAST_EVENT_ID)
    return Wanted(_index(last) + 1 if last else query.from_index, query.event_types)


def _index(text: str) -> int:
    is_short = len(text) <= len(str(-MAX_INTEGER)) and text.isascii()
    index = int(text) if is_short and text.removeprefix("-").isdecimal() else None
    if index is None or not -1 <= index < MAX_INTEGER:
        message = f"the header {LAST_EVENT_ID} must be the index of an event"
        raise ValidationFailed([Fault("", message)], "The header is not valid.")
    return index


def _connection() -> Any:
    """The connection of the request. Raises ServiceUnavailable."""
    for name in _SOCKETS:
        if (served := request.environ.get(name)) is not None:
            return served
    raise ServiceUnavailable("This server gives no connection out of its hands.")
