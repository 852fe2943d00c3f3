"""`/metrics`: what this API counts, and what PostgreSQL says of how much there is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, current_app, g, request

from app.config.checks import is_loopback
from app.errors import NotFound, Unauthorized
from app.metrics.bearer import bears
from web.description import gives
from web.inputs import takes
from web.security import is_named_loopback

if TYPE_CHECKING:
    from app.metrics.catalogue import RequestMetrics

blueprint = Blueprint("metrics", __name__)

_KEY = "chaingraph.metrics"

#: Requests that met no route have this in its place, and unheard-of methods in theirs.
OTHER = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
#: What a rule names besides an id: `<string:` of `<string:flow_id>`.
_CONVERTER = re.compile(r"<\w+:")
#: What says that somebody else asked whoever asks us.
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown, and the token that those of other machines must bear."""

    text: Callable[[], bytes]
    content_type: str
    token: str | None


@blueprint.get("/metrics")
@takes()
@gives(media_type="text/plain", refuses=(401, 404))
def show_metrics() -> Response:
    """Give all metrics as Prometheus text.

    To this machine, and to whoever sends METRICS_TOKEN as a bearer token: others get 401, or 404
    where there is no such token, or ENABLE_METRICS is off. A request is not this machine's if its
    Host names another, or a header says that a proxy forwards it.
    """
    shown: Shown | None = current_app.extensions.get(_KEY)
    if shown is None:
        raise NotFound
    if not (bears(request.headers.get("Authorization"), shown.token) or _is_from_here()):
        raise Unauthorized if shown.token else NotFound
    return Response(shown.text(), content_type=shown.content_type)


def provide_metrics(app: Flask, shown: Shown, requests: RequestMetrics) -> None:
    """Show metrics, and count every request."""
    app.extensions[_KEY] = shown

    def begin() -> None:
        g.asked_at = time.monotonic()

    def count(response: Response) -> Response:
        asked_at: float | None = g.pop("asked_at", None)
        # A socket answers once it has ended.
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        if asked_at is not None and not is_socket:
            took_s = time.monotonic() - asked_at
            requests.answered(_method(), _route(), response.status_code, took_s)
        return response

    # Before whatever may refuse the request.
    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request(count)


def _is_from_here() -> bool:
    if any(name in request.headers for name in _FORWARDED) or not is_named_loopback():
        return False
    return request.remote_addr is not None and is_loopback(request.remote_addr)


def _method() -> str:
    return request.method if request.method in _METHODS else OTHER


def _route() -> str:
    # How a route reads its ids is no part of its name.
    return OTHER if request.url_rule is None else _CONVERTER.sub("<", request.url_rule.rule)
