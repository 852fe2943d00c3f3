"""The WebSocket relay: `WS /api/v1/executions/{id}/events`, one thread for each socket.

Everything that can be refused is refused before the upgrade, with a problem.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import Annotated, Any

from flask import Flask, g, request
from flask_sock import Sock
from pydantic import Field

from app.caller import Caller
from app.errors import BadRequest, NotFound, ServiceUnavailable
from app.events.log import Head
from app.streams.frames import end_frame, events_frame
from app.streams.hub import Hub
from app.streams.relay import End, Events, Feed, Gone, Wanted
from app.streams.threads import THREADS, Threads
from web.access import Access, Ticket
from web.callers import caller
from web.inputs import read_query
from web.schemas import MAX_INTEGER, EventTypes, Query
from web.sockets import (
    GOING_AWAY,
    REFUSED,
    RESTARTING,
    EventSocket,
    Patience,
    SocketClosed,
    Unresponsive,
    server_options,
)

ENDPOINT = "relay"
PATH = "/api/v1/executions/<execution_id>/events"
NORMAL_CLOSURE = 1000

#: A wait for events ends so often (s), to notice a client that left.
LOOK_EVERY_S = 2.0
#: How long (s) sockets have to close before they are cut.
DRAIN_S = 1.0


class RelayQuery(Query):
    """What a socket wants, and how it wants it cut into frames."""

    from_index: Annotated[int, Field(ge=-1, le=MAX_INTEGER)] = -1
    event_types: EventTypes = None
    batch_size: Annotated[int, Field(ge=1, le=1000)] = 100
    batch_timeout_ms: Annotated[int, Field(ge=0, le=1000)] = 25

    def wanted(self) -> Wanted:
        """Put it in the feed's terms."""
        return Wanted(
            self.from_index, self.event_types, self.batch_size, self.batch_timeout_ms / 1000
        )


class Relay:
    """The open sockets of one API process."""

    def __init__(
        self,
        hub: Hub,
        max_sockets: int,
        patience: Patience,
        take: Callable[[Any, Patience], EventSocket] = EventSocket,
        threads: Threads = THREADS,
    ) -> None:
        self._hub = hub
        self._take = take
        self._max_sockets = max_sockets
        self._patience = patience
        self._places_taken = 0
        self._open: set[EventSocket] = set()
        self._changed = threads.condition()
        self._draining = False

    @property
    def open_sockets(self) -> int:
        """How many sockets are open now."""
        return len(self._open)

    def head(self, execution_id: str, caller: Caller) -> Head:
        """Where a caller's execution stands. Raises NotFound, StoreUnavailable."""
        head = None if "\0" in execution_id else self._hub.head(execution_id)
        if head is None or not caller.may_see(head.owner_id):
            raise NotFound
        return head

    def take_place(self) -> None:
        """Make sure that one more socket may be served. Raises ServiceUnavailable."""
        with self._changed:
            if self._draining:
                raise ServiceUnavailable("The server is shutting down.")
            if self._places_taken >= self._max_sockets:
                raise ServiceUnavailable("All sockets are taken.")
            self._places_taken += 1

    def give_place_back(self) -> None:
        """A socket is no longer served."""
        with self._changed:
            self._places_taken -= 1

    def serve(self, ws: Any, execution_id: str, head: Head, wanted: Wanted, ticket: Ticket) -> None:
        """Send events until the end, or until the client is gone or told to come back."""
        client = self._take(ws, self._patience)
        with self._changed:
            self._open.add(client)
        try:
            with self._hub.feed(execution_id, head, wanted) as feed:
                self._relay(feed, client, ticket)
        except SocketClosed:
            client.cut()
        except Unresponsive:
            client.close(GOING_AWAY, "no answer to pings")
        finally:
            client.finish()
            with self._changed:
                self._open.discard(client)
                self._changed.notify_all()

    def drain(self) -> None:
        """Close every socket with 1012 within a second: the clients resume elsewhere."""
        with self._changed:
            self._draining = True
        self._hub.interrupt()
        with self._changed:
            self._changed.wait_for(lambda: not self._open, DRAIN_S)
            late = list(self._open)
        for client in late:
            client.cut()

    def _relay(self, feed: Feed, client: EventSocket, ticket: Ticket) -> None:
        while client.is_open:
            if not ticket.holds():
                client.close(REFUSED, "the token was revoked")
                return
            if self._draining:
                client.close(RESTARTING, "restarting")
                return
            until_ping_s = client.check()
            match feed.next(min(until_ping_s, LOOK_EVERY_S)):
                case Events(events, next_index):
                    client.send(events_frame([each.envelope for each in events], next_index))
                case End(status, next_index):
                    client.send(end_frame(status, next_index))
                    client.close(NORMAL_CLOSURE)
                case Gone():
                    client.close(REFUSED, "the execution was deleted")


def register_relay(
    app: Flask,
    hub: Hub,
    *,
    max_sockets: int,
    patience: Patience | None = None,
    access: Access | None = None,
) -> Relay:
    """Add the relay's route to the app, after its security, which goes by `access` too.

    A socket takes a thread of the server: let `max_sockets` leave some for requests. The
    server calls `drain` when it is told to end, from a thread of its own.
    """
    relay = Relay(hub, max_sockets, patience or Patience())
    who_may = access or Access()
    app.config["SOCK_SERVER_OPTIONS"] = server_options()

    def admit() -> None:
        if request.endpoint != ENDPOINT:
            return
        _check_handshake()
        g.relay_ticket = who_may.ticket()
        g.relay_wanted = read_query(RelayQuery).wanted()
        g.relay_head = relay.head((request.view_args or {})["execution_id"], caller())
        relay.take_place()
        g.relay_place = True
        # Compression costs each socket a quarter of a megabyte: it is not taken up.
        request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)

    def leave(_error: BaseException | None) -> None:
        if g.pop("relay_place", False):
            relay.give_place_back()

    def serve(ws: Any, execution_id: str) -> None:
        relay.serve(ws, execution_id, g.relay_head, g.relay_wanted, g.relay_ticket)

    app.before_request(admit)
    app.teardown_request(leave)
    Sock(app).route(PATH, endpoint=ENDPOINT, methods=["GET"])(serve)
    return relay


def _check_handshake() -> None:
    """Refuse what is no handshake of RFC 6455, before anything is upgraded."""
    try:
        key = b64decode(request.headers.get("Sec-WebSocket-Key", ""), validate=True)
    except ValueError:
        key = b""
    version = request.headers.get("Sec-WebSocket-Version", "").strip()
    if request.method != "GET" or len(key) != 16 or version != "13":
        raise BadRequest("This is no WebSocket handshake of version 13.")
