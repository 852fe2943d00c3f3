"""`/executions/bulk`: one command to many executions."""

from __future__ import annotations

from flask import Blueprint, Response

from app.store.bulk import BulkFilter
from web import shapes
from web.answers import answer
from web.callers import caller
from web.description import gives
from web.inputs import takes
from web.schemas import BulkCommand
from web.services import services

blueprint = Blueprint("bulk", __name__, url_prefix="/api/v1/executions")


@blueprint.post("/bulk")
@takes(body=BulkCommand)
@gives(shapes.Accepted, 202)
def command(body: BulkCommand) -> Response:
    """Command all executions that pass a filter, as they are when the call comes.

    `matched` counts those that pass it, `accepted` those of them whose status allows the
    command. They are recorded in one statement and carried out in batches, each once, whatever
    dies meanwhile: before the answer, as far as ten seconds suffice, the rest after it.
    """
    wanted = BulkFilter(body.filter.status, body.filter.flow_id, body.filter.ids)
    recorded = services().bulk.command(caller(), body.action, wanted)
    return answer({"matched": recorded.matched, "accepted": recorded.accepted}, 202)
