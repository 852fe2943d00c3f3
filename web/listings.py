"""Lists of executions: all of one's own, a flow's roots, a tree, the audit trail."""

from __future__ import annotations

from flask import Blueprint, Response

from web import shapes
from web.answers import answer
from web.callers import caller
from web.cursors import (
    at_level,
    at_moment,
    at_position,
    read_level,
    read_moment,
    read_position,
)
from web.description import gives
from web.inputs import takes
from web.schemas import ExecutionsQuery, PageQuery, RootsQuery, TreeQuery
from web.services import services

blueprint = Blueprint("listings", __name__, url_prefix="/api/v1")


@blueprint.get("/executions")
@takes(query=ExecutionsQuery)
@gives(shapes.ExecutionPage)
def list_executions(query: ExecutionsQuery) -> Response:
    """List one's executions, newest first, without their outputs."""
    page = services().listings.executions(
        caller(),
        status=query.status,
        flow_id=query.flow_id,
        root_execution_id=query.root_execution_id,
        limit=query.limit,
        before=read_moment(query.cursor),
    )
    return answer({"items": page.items, "nextCursor": page.after and at_moment(*page.after)})


@blueprint.get("/flows/<flow_id>/executions")
@takes(query=RootsQuery)
@gives(shapes.RootPage)
def list_roots(flow_id: str, query: RootsQuery) -> Response:
    """List a flow's root executions, newest first, each with the size of its tree.

    `levels` counts the levels of the tree and `totalNested` its executions; the root counts in
    both. `after` asks for those that were created before this time.
    """
    page = services().listings.roots(
        flow_id,
        caller(),
        limit=query.limit,
        before=read_moment(query.cursor),
        created_before=query.after,
    )
    return answer({"items": page.items, "nextCursor": page.after and at_moment(*page.after)})


@blueprint.get("/executions/<execution_id>/tree")
@takes(query=TreeQuery)
@gives(shapes.TreePage)
def list_tree(execution_id: str, query: TreeQuery) -> Response:
    """List an execution and all that descend from it, by level, then id.

    The execution that was asked for is on level 0.
    """
    page = services().listings.tree(
        execution_id, caller(), limit=query.limit, after=read_level(query.cursor)
    )
    return answer({"items": page.items, "nextCursor": page.after and at_level(*page.after)})


@blueprint.get("/executions/<execution_id>/recoveries")
@takes(query=PageQuery)
@gives(shapes.RecoveryPage)
def list_recoveries(execution_id: str, query: PageQuery) -> Response:
    """List the times that an execution was taken from its owner, oldest first."""
    page = services().listings.recoveries(
        execution_id, caller(), limit=query.limit, offset=read_position(query.cursor)
    )
    return answer({"items": page.items, "nextCursor": page.after and at_position(page.after)})
