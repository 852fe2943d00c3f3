"""The composition root of the API: settings in, app out."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from flask import Flask

from app.config import Settings
from app.errors import StoreUnavailable
from app.executions.exporting import Traces, open_traces
from app.executions.tracing import UNTRACED
from app.executions.verification import Verifier
from app.store.census import Census
from app.store.tokens import TokenTable
from app.streams.client import connect
from app.streams.rates import Rates
from web.access import ACCESS, Access
from web.capacity import MAX_SOCKETS
from web.event_routes import register_relay
from web.factory import build_app
from web.parts import Parts, parts_of
from web.programming import Interface, forget, provide
from web.relay import Relay

if TYPE_CHECKING:
    from app.metrics.groups import ApiMetrics

#: Where an app keeps its Parts.
PARTS = "chaingraph.parts"
_RELAY = "chaingraph.relay"
_CENSUS = "chaingraph.census"
_TRACES = "chaingraph.traces"

_log = logging.getLogger(__name__)


def compose(settings: Settings, traces: Traces | None = None) -> Flask:
    """Connect the parts of the mode that is set. Traces go where OTEL_* says, unless given."""
    metrics = _metrics(settings)
    traces = traces or open_traces("chaingraph-api")
    parts = parts_of(settings, metrics, traces.tracing)
    access = _access(parts, settings)
    app = build_app(
        parts.services(settings, metrics, traces.tracing),
        max_body_bytes=settings.max_body_bytes,
        access=access,
    )
    app.extensions[PARTS] = parts
    if settings.execution_mode == "local":
        # A node that asks for them meets the executions of this process.
        provide(Interface.over(parts, settings))
    app.extensions[_RELAY] = register_relay(
        app,
        parts.hub,
        max_sockets=MAX_SOCKETS,
        access=access,
        meter=metrics.relay if metrics else None,
    )
    if metrics is not None:
        _show(app, parts, settings, metrics)
    app.extensions[_TRACES] = traces
    if traces.tracing is not UNTRACED:
        from web.tracing import register_tracing

        register_tracing(app, traces.tracing)
    return app


def _metrics(settings: Settings) -> ApiMetrics | None:
    if not settings.enable_metrics:
        return None
    # Late: what it needs is not loaded where it isn't wanted.
    from web.measuring import begin

    return begin()


def _show(app: Flask, parts: Parts, settings: Settings, metrics: ApiMetrics) -> None:
    from web.measuring import show

    census = app.extensions[_CENSUS] = Census(parts.sessions)
    show(app, metrics, census, settings)


def _access(parts: Parts, settings: Settings) -> Access:
    rates = None
    if settings.rate_limit is not None:
        rates = Rates(connect(settings.redis_url, role="web"), settings.rate_limit)
    if not settings.auth_enabled:
        return Access(rates=rates)
    verifier = Verifier(TokenTable(parts.flows), time.monotonic)
    return Access(verifier, frozenset(settings.cors_origins), rates)


def warm_up(app: Flask) -> None:
    """Open what the first requests would have to wait for, if it can be opened."""
    parts: Parts = app.extensions[PARTS]
    try:
        parts.warm_up()
    except StoreUnavailable as error:
        _log.warning("PostgreSQL can't be reached yet: %s", error)


def relay_of(app: Flask) -> Relay:
    """The relay of an app that `compose` made."""
    relay: Relay = app.extensions[_RELAY]
    return relay


def end(app: Flask) -> None:
    """End what `compose` started: sockets, threads, and in local mode all that runs."""
    relay = relay_of(app)
    relay.drain()
    relay.close()
    parts: Parts = app.extensions[PARTS]
    census: Census | None = app.extensions.get(_CENSUS)
    traces: Traces = app.extensions[_TRACES]
    traces.end()
    access: Access = app.extensions[ACCESS]
    forget()
    if access.rates is not None:
        access.rates.close()
    if census is not None:
        census.close()
    parts.end()
