"""The WebSocket relay: `WS /api/v1/executions/{id}/events`.

Everything that can be refused is refused before the upgrade, with a problem. Then the socket is
taken out of the server's hands: from there on one thread watches all of them (web.loop), and a
few send what there is (app.streams.pump).
"""

from __future__ import annotations

from base64 import b64decode
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from flask import Flask, g, request
from flask_sock import Sock
from pydantic import Field

from app.caller import Caller
from app.errors import BadRequest, NotFound, ServiceUnavailable
from app.events.log import Head
from app.streams.counted_outlet import CountedOutlet, RelayMeter
from app.streams.delivery import REFUSED, RESTARTING, Delivery, Outlet
from app.streams.hub import Hub
from app.streams.permits import Permits
from app.streams.pump import Pump
from app.streams.relay import Feed, Wanted
from app.streams.threads import THREADS, Threads
from web.access import Access, Ticket
from web.callers import caller
from web.event_streams import PING_EVERY_S, register_event_streams
from web.inputs import read_query
from web.loop import SocketLoop
from web.schemas import MAX_INTEGER, EventTypes, Query
from web.sockets import Patience, server_options, socket_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ENDPOINT = "relay"
PATH = "/api/v1/executions/<execution_id>/events"

#: How long (s) clients have to take their goodbye before they are cut, and then to be gone.
DRAIN_S = 0.9
GONE_WITHIN_S = 1.0

#: The headers of a handshake whose values are answered, and those that are as they must be.
_ANSWERED = ("HTTP_SEC_WEBSOCKET_KEY", "HTTP_SEC_WEBSOCKET_PROTOCOL")
_HANDSHAKE = {
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_HOST": ENDPOINT,
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_UPGRADE": "websocket",
}


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
    """Those who are sent events by one API process, by WebSocket or however else."""

    def __init__(
        self,
        hub: Hub,
        max_clients: int,
        threads: Threads = THREADS,
        loop: SocketLoop | None = None,
        meter: RelayMeter | None = None,
    ) -> None:
        self._hub = hub
        self._meter = meter
        self._loop = loop
        self._max_clients = max_clients
        self._pump = Pump(threads)
        self._permits = Permits(threads)
        self._places_taken = 0
        self._open: dict[Outlet, tuple[Delivery, Feed]] = {}
        self._changed = threads.condition()
        self._draining = False

    @property
    def open_sockets(self) -> int:
        """How many clients are served now."""
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
            if self._places_taken >= self._max_clients:
                raise ServiceUnavailable("All sockets are taken.")
            self._places_taken += 1

    def give_place_back(self) -> None:
        """A socket is no longer served."""
        with self._changed:
            self._places_taken -= 1

    def serve(
        self, client: Outlet, execution_id: str, head: Head, wanted: Wanted, ticket: Ticket
    ) -> None:
        """Have a client be sent events from now on. It gives its place back when it is gone."""
        if self._meter is not None:
            client = CountedOutlet(client, self._meter, head)
        feed = self._hub.open(execution_id, head, wanted)
        delivery = Delivery(feed, client, self._pump)
        with self._changed:
            self._open[client] = delivery, feed
        if ticket.tokens is not None:
            self._permits.keep(
                client, ticket, partial(client.close, REFUSED, "the token was revoked")
            )
        delivery.begin(lambda: self._forget(client))
        if self._draining:
            client.close(RESTARTING, "restarting")

    def drain(self) -> None:
        """Say goodbye to every client within a second: they resume elsewhere."""
        with self._changed:
            self._draining = True
            clients = list(self._open)
        for client in clients:
            client.close(RESTARTING, "restarting")
        self._hub.interrupt()
        with self._changed:
            self._changed.wait_for(lambda: not self._open, DRAIN_S)
            late = list(self._open)
        for client in late:
            client.cut()
        with self._changed:
            self._changed.wait_for(lambda: not self._open, GONE_WITHIN_S)

    def close(self) -> None:
        """End the threads that send, once it is drained."""
        self._pump.close()
        self._permits.close()
        if self._loop is not None:
            self._loop.close()

    def _forget(self, client: Outlet) -> None:
        with self._changed:
            delivery, feed = self._open.pop(client)
            self._changed.notify_all()
        self._permits.drop(client)
        delivery.end()
        self._hub.release(feed)
        self.give_place_back()


def register_relay(
    app: Flask,
    hub: Hub,
    *,
    max_sockets: int,
    patience: Patience | None = None,
    access: Access | None = None,
    meter: RelayMeter | None = None,
) -> Relay:
    """Add the relay's route to the app, after its security, which goes by `access` too.

    The server calls `drain` when it is told to end, from a thread of its own, and `close` after.
    """
    streams_patience = patience or Patience(ping_every_s=PING_EVERY_S)
    patience = patience or Patience()
    loop = SocketLoop(patience.tick_s)
    relay = Relay(hub, max_sockets, loop=loop, meter=meter)
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
        request.environ = _bare(request.environ)

    def leave(_error: BaseException | None) -> None:
        if g.pop("relay_place", False):
            relay.give_place_back()

    def serve(ws: Any, execution_id: str) -> None:
        client = socket_of(ws, loop, patience)
        # From here on it is the relay's to give back.
        g.relay_place = False
        relay.serve(client, execution_id, g.relay_head, g.relay_wanted, g.relay_ticket)

    app.before_request(admit)
    app.teardown_request(leave)
    register_event_streams(app, relay, loop, who_may, streams_patience, _is_for_events)
    Sock(app).route(PATH, endpoint=ENDPOINT, methods=["GET"])(serve)
    return relay


def _is_for_events() -> bool:
    rule = request.url_rule
    return rule is not None and rule.rule == PATH and not rule.websocket


def _check_handshake() -> None:
    """Refuse what is no handshake of RFC 6455, before anything is upgraded."""
    try:
        key = b64decode(request.headers.get("Sec-WebSocket-Key", ""), validate=True)
    except ValueError:
        key = b""
    version = request.headers.get("Sec-WebSocket-Version", "").strip()
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    is_readable = offered.isascii() and offered.isprintable()
    if request.method != "GET" or len(key) != 16 or version != "13" or not is_readable:
        raise BadRequest("This is no WebSocket handshake of version 13.")


def _bare(environ: WSGIEnvironment) -> WSGIEnvironment:
    """Leave of a handshake that was checked what is answered, and no other header.

    What answers reads all there are, by rules of its own: what it can't read must not reach it.
    Compression, which costs each socket a quarter of a megabyte, is not taken up either.
    """
    bare = {name: each for name, each in environ.items() if not name.startswith("HTTP_")}
    answered = {name: environ[name] for name in _ANSWERED if name in environ}
    return {**bare, **_HANDSHAKE, **answered}
