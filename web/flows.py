"""`/flows`: storing and reading flows."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request
from werkzeug.exceptions import PreconditionFailed

from app.executions.flows import Changed, Stored
from web import shapes
from web.answers import answer
from web.callers import caller
from web.cursors import at_moment, read_moment
from web.description import gives
from web.inputs import takes
from web.problems import listed
from web.schemas import MAX_INTEGER, FlowQuery, PageQuery
from web.services import services

blueprint = Blueprint("flows", __name__, url_prefix="/api/v1/flows")


@blueprint.post("")
@takes(body=dict, document=shapes.FlowDocument)
@gives(shapes.SavedFlow, 201, sends=("Location", "ETag"), refuses=(409,))
def store(body: dict[str, Any]) -> Response:
    """Store a flow: new, or a new version of one's own."""
    flow = services().flows.store(body, caller())
    response = _flow(flow, 201)
    response.headers["Location"] = f"{blueprint.url_prefix}/{quote(flow['id'], safe='')}"
    return response


@blueprint.post("/validate")
@takes(body=dict, document=shapes.AnyDocument)
@gives(shapes.Validation)
def validate(body: dict[str, Any]) -> Response:
    """Check a flow without storing it."""
    checked = services().flows.validate(body, caller())
    return answer(
        {
            "valid": not checked.faults,
            "errors": listed(checked.faults),
            "warnings": listed(checked.warnings),
        }
    )


@blueprint.get("")
@takes(query=PageQuery)
@gives(shapes.FlowPage)
def list_flows(query: PageQuery) -> Response:
    """List one's flows, newest first."""
    page = services().flows.page(caller(), query.limit, read_moment(query.cursor))
    cursor = at_moment(*page.after) if page.after else None
    return answer({"items": page.flows, "nextCursor": cursor})


@blueprint.get("/<flow:flow_id>")
@takes(query=FlowQuery)
@gives(shapes.FlowOrDocument, headers=("If-None-Match",), sends=("ETag",))
def show(flow_id: str, query: FlowQuery) -> Response:
    """Show a flow, one version of it, or that version's document alone."""
    flow = services().flows.get(flow_id, caller(), query.version)
    response = _flow(flow) if query.format is None else _tagged(answer(flow["document"]), flow)
    response.make_conditional(request)
    return response


@blueprint.put("/<flow:flow_id>")
@takes(body=dict, document=shapes.FlowDocument)
@gives(shapes.SavedFlow, headers=("If-Match",), sends=("ETag",), refuses=(412,))
def replace(flow_id: str, body: dict[str, Any]) -> Response:
    """Store a new version of a flow, if it is still the one that the caller saw."""
    match services().flows.replace(flow_id, body, caller(), _expected_versions()):
        case Stored(flow):
            return _flow(flow)
        case Changed():
            raise PreconditionFailed


@blueprint.delete("/<flow:flow_id>")
@takes()
@gives(status=204)
def hide(flow_id: str) -> Response:
    """Hide a flow; its executions stay."""
    services().flows.hide(flow_id, caller())
    return Response(status=204)


def _flow(flow: dict[str, Any], status: int = 200) -> Response:
    return _tagged(answer(flow, status), flow)


def _tagged(response: Response, flow: dict[str, Any]) -> Response:
    response.set_etag(str(flow["version"]))
    response.headers["Cache-Control"] = "no-cache"
    return response


def _expected_versions() -> list[int] | None:
    """The versions that If-Match names; None where any will do."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    # An empty tag is None there.
    tags = [tag for tag in request.if_match.as_set() if tag]
    versions = [int(tag) for tag in tags if tag.isascii() and tag.isdigit() and len(tag) <= 10]
    return [version for version in versions if version <= MAX_INTEGER]
