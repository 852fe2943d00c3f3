"""`/health`: whether this process lives, and whether it can serve."""

from __future__ import annotations

from flask import Blueprint, Response

from web import shapes
from web.answers import answer
from web.description import gives
from web.services import services

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("/live")
@gives(shapes.Live)
def live() -> Response:
    """Answer: that alone says that the process lives."""
    return answer({"status": "ok"})


@blueprint.get("/ready")
@gives(shapes.Ready, also=(503,))
def ready() -> Response:
    """Say what this process depends on, and whether it can serve without what is missing."""
    health = services().health.run()
    status = "ok" if health.is_ready else "unavailable"
    return answer(
        {
            "status": status,
            "postgres": health.postgres,
            "redis": health.redis,
            "schema": health.schema,
        },
        200 if health.is_ready else 503,
    )
