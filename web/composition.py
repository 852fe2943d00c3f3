"""The composition root of the API: settings in, app out."""

from __future__ import annotations

from flask import Flask

from app.config import Settings
from web.capacity import MAX_SOCKETS
from web.factory import build_app
from web.parts import Parts, celery_parts, local_parts
from web.relay import Relay, register_relay

#: Where an app keeps its Parts.
PARTS = "chaingraph.parts"
_RELAY = "chaingraph.relay"


def compose(settings: Settings) -> Flask:
    """Connect the parts of the mode that is set."""
    is_local = settings.execution_mode == "local"
    parts = local_parts(settings) if is_local else celery_parts(settings)
    app = build_app(parts.services(settings), max_body_bytes=settings.max_body_bytes)
    app.extensions[PARTS] = parts
    app.extensions[_RELAY] = register_relay(app, parts.hub, max_sockets=MAX_SOCKETS)
    return app


def relay_of(app: Flask) -> Relay:
    """The relay of an app that `compose` made."""
    relay: Relay = app.extensions[_RELAY]
    return relay


def end(app: Flask) -> None:
    """End what `compose` started: threads, and in local mode all that runs."""
    parts: Parts = app.extensions[PARTS]
    parts.end()
