"""`/api/v1/executions/{id}/events`: the ways in which clients are sent events as they come."""

from __future__ import annotations

from flask import Flask, g, request

from app.streams.counted_outlet import RelayMeter
from app.streams.hub import Hub
from web.access import Access
from web.event_sockets import register_event_sockets
from web.event_streams import PING_EVERY_S, register_event_streams
from web.loop import SocketLoop
from web.relay import Relay
from web.sockets import Patience

PATH = "/api/v1/executions/<execution_id>/events"


def register_relay(
    app: Flask,
    hub: Hub,
    *,
    max_sockets: int,
    patience: Patience | None = None,
    access: Access | None = None,
    meter: RelayMeter | None = None,
) -> Relay:
    """Add the relay's routes to the app, after its security, which goes by `access` too.

    The server calls `drain` when it is told to end, from a thread of its own, and `close` after.
    """
    streams_patience = patience or Patience(ping_every_s=PING_EVERY_S)
    patience = patience or Patience()
    loop = SocketLoop(patience.tick_s)
    relay = Relay(hub, max_sockets, loop=loop, meter=meter)
    who_may = access or Access()

    def leave(_error: BaseException | None) -> None:
        # Of who was let in, and not served in the end.
        if g.pop("relay_place", False):
            relay.give_place_back()

    register_event_sockets(app, PATH, relay, loop, who_may, patience)
    register_event_streams(app, relay, loop, who_may, streams_patience, _is_for_events)
    app.teardown_request(leave)
    return relay


def _is_for_events() -> bool:
    rule = request.url_rule
    return rule is not None and rule.rule == PATH and not rule.websocket
