"""The Flask app around given services: rules, problems, routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask

from app.config.places import ours
from web import (
    bulk,
    documentation,
    executions,
    flows,
    health,
    listings,
    metrics,
    nodes,
    secrets,
    workers,
)
from web.access import ACCESS, Access
from web.bodies import register_bodies
from web.converters import register_converters
from web.problems import register_problems
from web.request_logs import register_request_logs
from web.security import register_security
from web.services import Services, provide

BLUEPRINTS = (
    flows.blueprint,
    nodes.blueprint,
    executions.blueprint,
    bulk.blueprint,
    listings.blueprint,
    workers.blueprint,
    secrets.blueprint,
    health.blueprint,
    metrics.blueprint,
    documentation.blueprint,
)


class _App(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Nothing here is a coroutine, and to look is a dozen looks a request."""
        return func


def build_app(services: Services, *, max_body_bytes: int, access: Access | None = None) -> Flask:
    """Make the app; a body over `max_body_bytes` is refused, also one of unknown length.

    Without `access` nobody is asked for a token.
    """
    app = _App(ours("web"), static_folder=None)
    register_bodies(app, max_body_bytes)
    # A path is taken as it was sent: a client that doubles a slash hears 404, not a redirect
    # that turns its POST into something else.
    app.url_map.merge_slashes = False
    register_converters(app)
    provide(app, services)
    access = access or Access()
    app.extensions[ACCESS] = access
    register_request_logs(app)
    register_security(app, access)
    register_problems(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app
