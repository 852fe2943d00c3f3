"""`/secrets`: what nodes need to know and nobody is shown."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from web import shapes
from web.answers import answer
from web.callers import caller
from web.cursors import at_moment, read_moment
from web.description import gives
from web.inputs import takes
from web.schemas import ChangedSecret, NewSecret, PageQuery
from web.services import services

blueprint = Blueprint("secrets", __name__, url_prefix="/api/v1/secrets")


@blueprint.post("")
@takes(body=NewSecret)
@gives(shapes.Secret, 201, sends=("Location",), refuses=(409,))
def store(body: NewSecret) -> Response:
    """Store a secret under a name of its own, encrypted.

    Needs SECRET_KEY: without it the answer is 422 SECRET_KEY_MISSING.
    """
    secret = services().secrets.store(caller(), body.name, body.secret_type, body.data)
    response = answer(secret, 201)
    response.headers["Location"] = f"{blueprint.url_prefix}/{secret['id']}"
    return response


@blueprint.get("")
@takes(query=PageQuery)
@gives(shapes.SecretPage)
def list_secrets(query: PageQuery) -> Response:
    """List one's secrets, newest first, without what they hold."""
    page = services().secrets.page(caller().owner_id, query.limit, read_moment(query.cursor))
    cursor = at_moment(*page.after) if page.after else None
    return answer({"items": page.secrets, "nextCursor": cursor})


@blueprint.get("/<secret_id>")
@takes()
@gives(shapes.Secret)
def show(secret_id: str) -> Response:
    """Show a secret, without what it holds."""
    return answer(services().secrets.get(secret_id, caller().owner_id))


@blueprint.put("/<secret_id>")
@takes(body=ChangedSecret)
@gives(shapes.Secret, refuses=(409,))
def replace(secret_id: str, body: ChangedSecret) -> Response:
    """Replace a secret; without `data`, or with its mask, what it holds stays.

    Nodes that begin from then on are given the new one.
    """
    changed: dict[str, Any] = services().secrets.replace(
        secret_id, caller(), body.name, body.secret_type, body.data
    )
    return answer(changed)


@blueprint.delete("/<secret_id>")
@takes()
@gives(status=204)
def delete(secret_id: str) -> Response:
    """Delete a secret; a node that still refers to it will fail."""
    services().secrets.delete(secret_id, caller())
    return Response(status=204)
