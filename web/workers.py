"""`/workers`: who runs executions."""

from __future__ import annotations

from flask import Blueprint, Response

from web import shapes
from web.answers import answer, page
from web.callers import caller
from web.cursors import at_position, read_position
from web.description import gives
from web.inputs import takes
from web.schemas import PageQuery
from web.services import services

blueprint = Blueprint("workers", __name__, url_prefix="/api/v1/workers")


@blueprint.get("")
@takes(query=PageQuery)
@gives(shapes.WorkerPage)
def list_workers(query: PageQuery) -> Response:
    """List the workers that are alive.

    `active` holds the executions that the caller sees: all of them for an admin.
    """
    position = read_position(query.cursor)
    workers = services().workers.list(caller())[position : position + query.limit + 1]
    return answer(page(workers, query.limit, lambda _: at_position(position + query.limit)))
