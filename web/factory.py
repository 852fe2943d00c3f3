"""The Flask app around given services: rules, problems, routes."""

from __future__ import annotations

from flask import Flask

from web import bulk, documentation, executions, flows, health, listings, nodes, workers
from web.bodies import register_bodies
from web.problems import register_problems
from web.security import register_security
from web.services import Services, provide

BLUEPRINTS = (
    flows.blueprint,
    nodes.blueprint,
    executions.blueprint,
    bulk.blueprint,
    listings.blueprint,
    workers.blueprint,
    health.blueprint,
    documentation.blueprint,
)


def build_app(services: Services, *, max_body_bytes: int) -> Flask:
    """Make the app; a body over `max_body_bytes` is refused, also one of unknown length."""
    app = Flask("web", static_folder=None)
    register_bodies(app, max_body_bytes)
    # A path is taken as it was sent: a client that doubles a slash hears 404, not a redirect
    # that turns its POST into something else.
    app.url_map.merge_slashes = False
    provide(app, services)
    register_security(app)
    register_problems(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app
