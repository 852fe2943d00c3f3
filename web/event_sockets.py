"""WebSockets: the events of an execution, to who opens one.

Everything that can be refused is refused before the upgrade, with a problem. Then the socket is
taken out of the server's hands (web.relay).
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Annotated, Any

from flask import Flask, g, request
from flask_sock import Sock
from pydantic import Field

from app.errors import BadRequest
from app.streams.relay import Wanted
from web.access import Access
from web.callers import caller
from web.inputs import read_query
from web.loop import SocketLoop
from web.relay import Relay
from web.schemas import WRITTEN, EventTypes, FromIndex, LongLimit, Query
from web.sockets import Patience, server_options, socket_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ENDPOINT = "relay"

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

    from_index: FromIndex = -1
    event_types: EventTypes = None
    batch_size: LongLimit = 100
    batch_timeout_ms: Annotated[int, Field(ge=0, le=1000), WRITTEN] = 25

    def wanted(self) -> Wanted:
        """Put it in the feed's terms."""
        return Wanted(
            self.from_index, self.event_types, self.batch_size, self.batch_timeout_ms / 1000
        )


def register_event_sockets(
    app: Flask, path: str, relay: Relay, loop: SocketLoop, who_may: Access, patience: Patience
) -> None:
    """Serve WebSockets at this address."""
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

    def serve(ws: Any, execution_id: str) -> None:
        client = socket_of(ws, loop, patience)
        # From here on it is the relay's to give back.
        g.relay_place = False
        relay.serve(client, execution_id, g.relay_head, g.relay_wanted, g.relay_ticket)

    app.before_request(admit)
    Sock(app).route(path, endpoint=ENDPOINT, methods=["GET"])(serve)


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
