"""`/executions`: creating and starting executions, and reading one."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response
from pydantic import BaseModel

from app.executions.creation import Created, Replayed
from app.executions.forking import NewFork
from app.executions.service import NewExecution
from web import shapes
from web.answers import answer, page
from web.callers import caller
from web.cursors import at_position, read_position
from web.description import gives
from web.idempotency import REPLAYED, read_key
from web.inputs import takes
from web.schemas import (
    Command,
    CreateExecution,
    CreateExecutions,
    EventsQuery,
    ExecutionNodesQuery,
    ForkExecution,
    NoBody,
    Payload,
)
from web.services import services

blueprint = Blueprint("executions", __name__, url_prefix="/api/v1/executions")


@blueprint.post("")
@takes(body=CreateExecution)
@gives(shapes.Execution, 201, headers=("Idempotency-Key",), sends=("Location",), refuses=(404, 409))
def create(body: CreateExecution) -> Response:
    """Create an execution, and start it if asked to."""
    return _created(_create(body, [body], ""))


@blueprint.post("/batch")
@takes(body=CreateExecutions)
@gives(
    shapes.ExecutionList, 201, headers=("Idempotency-Key",), sends=("Location",), refuses=(404, 409)
)
def create_batch(body: CreateExecutions) -> Response:
    """Create many executions, or none of them."""
    match _create(body, body.items, "/items/{}"):
        case Replayed(execution_ids):
            executions, headers = services().executions.many(execution_ids, caller()), REPLAYED
        case Created(executions):
            headers = {}
    location = str(blueprint.url_prefix)
    return answer({"items": executions}, 201, {"Location": location, **headers})


@blueprint.post("/<execution_id>/start")
@takes(body=NoBody)
@gives(shapes.Execution, 202, refuses=(409,))
def start(execution_id: str) -> Response:
    """Send the start signal."""
    return answer(services().executions.start(execution_id, caller()), 202)


@blueprint.post("/<execution_id>/pause")
@takes(body=Command)
@gives(shapes.Execution, 202, refuses=(409,))
def pause(execution_id: str, body: Command) -> Response:
    """Pause at the next node boundary: what runs finishes, nothing starts.

    Until then `requested` says so. Again while it is requested: no change. It acts on this
    execution alone. 409 unless it is running.
    """
    return answer(services().control.pause(execution_id, caller(), body.reason), 202)


@blueprint.post("/<execution_id>/resume")
@takes(body=Command)
@gives(shapes.Execution, 202, refuses=(409,))
def resume(execution_id: str, body: Command) -> Response:  # noqa: ARG001 — nothing tells the reason
    """Have a paused execution go on, or withdraw a pause that is not effective yet.

    409 where there is neither.
    """
    return answer(services().control.resume(execution_id, caller()), 202)


@blueprint.post("/<execution_id>/step")
@takes(body=Command)
@gives(shapes.Execution, 202, refuses=(409,))
def step(execution_id: str, body: Command) -> Response:  # noqa: ARG001 — nothing tells the reason
    """Have a paused execution run one node, then pause again.

    The node is the first ready one in document order; after the last one, and the end of all
    children, the execution completes. A node that fails and is to be tried again has had its
    step. 409 unless it is paused and a node is ready or all are done.
    """
    return answer(services().control.step(execution_id, caller()), 202)


@blueprint.post("/<execution_id>/stop")
@takes(body=Command)
@gives(shapes.Execution, 202, refuses=(409,))
def stop(execution_id: str, body: Command) -> Response:
    """Stop an execution and all that descends from it, for good.

    It is stopped when this answers: no node starts any more, and one in the middle of its work
    is told to end, or its result is dropped. 409 if it is final.
    """
    return answer(services().control.stop(execution_id, caller(), body.reason), 202)


@blueprint.post("/<execution_id>/fork")
@takes(body=ForkExecution)
@gives(shapes.Execution, 201, headers=("Idempotency-Key",), sends=("Location",), refuses=(409,))
def fork(execution_id: str, body: ForkExecution) -> Response:
    """Create an execution that takes over what another one, in any status, has come to.

    Taken over are the checkpoints of nodes that have ended and don't depend on `fromNodeId`,
    over edges, or as a group on its children; without it, of completed nodes. A node runs anew,
    and what depends on it does, if it failed (with `fromNodeId`: if that would end the execution,
    too), if it gave an output and has not ended, or if `flowVersion` names a version in which its
    type, ports, values or edges are others. Waits begin anew. `inputs` are laid over those of
    the forked execution, and `options` over its options; inputs for a node that is taken over
    are refused with 422. Its children and signals are not copied, nothing that is taken over is
    done or told again; `execution:created` names it. 409 where the flow was deleted, or can't be
    compiled any more.
    """
    wanted = NewFork(
        from_node_id=body.from_node_id,
        flow_version=body.flow_version,
        inputs=body.inputs,
        options=body.named_options(),
        autostart=body.autostart,
    )
    return _created(services().forking.fork(execution_id, wanted, caller(), read_key(body)))


@blueprint.post("/<execution_id>/recover")
@takes(body=NoBody)
@gives(shapes.Execution, 202, refuses=(409,))
def recover(execution_id: str) -> Response:
    """Take an execution from its owner; another goes on from the last checkpoint.

    For an owner that hangs: what it still does changes nothing any more. It counts as no
    failure. What is paused, or not started yet, stays so. 409 if the execution is final.
    """
    return answer(services().takeover.recover(execution_id, caller()), 202)


@blueprint.post("/<execution_id>/signals/<name>")
@takes(body=Payload)
@gives(shapes.Signalled, 202, headers=("Idempotency-Key",), refuses=(409,))
def signal(execution_id: str, name: str, body: Payload) -> Response:
    """Send a signal with any JSON as its payload; no body at all counts as `{}`.

    It goes to one node: the first in document order of those that wait for a signal of this
    name (WaitForSignalNode), which `delivered` tells. While none does, it is kept, in the order
    of arrival, until one begins to. A name has 1 to 128 letters, digits, `_`, `.` and `-`, a
    payload at most MAX_VALUE_BYTES. 409 if the execution is final, 429 if 1,000 signals are kept
    for it. Without an Idempotency-Key a signal that is sent twice is two signals.
    """
    key = read_key(body)
    sent = services().signalling.send(execution_id, caller(), name, body.root, key)
    return answer({"delivered": sent.delivered}, 202, REPLAYED if sent.is_replay else None)


@blueprint.get("/<execution:execution_id>")
@takes()
@gives(shapes.Execution)
def show(execution_id: str) -> Response:
    """Show an execution with its outputs.

    They are null until it is completed, and where its flow can't be compiled any more.
    """
    return answer(services().executions.get(execution_id, caller()))


@blueprint.get("/<execution_id>/nodes")
@takes(query=ExecutionNodesQuery)
@gives(shapes.NodePage, refuses=(409,))
def list_nodes(execution_id: str, query: ExecutionNodesQuery) -> Response:
    """List an execution's nodes in document order.

    409 where its flow can't be compiled any more: a node type is gone, say.
    """
    position = read_position(query.cursor)
    nodes = services().executions.nodes(
        execution_id, caller(), limit=query.limit + 1, offset=position
    )
    return answer(page(nodes, query.limit, lambda _: at_position(position + query.limit)))


@blueprint.get("/<execution_id>/nodes/<path:node_id>")
@takes()
@gives(shapes.Node, refuses=(409,))
def show_node(execution_id: str, node_id: str) -> Response:
    """Show one node of an execution, values in full.

    409 where its flow can't be compiled any more: a node type is gone, say.
    """
    return answer(services().executions.node(execution_id, caller(), node_id))


@blueprint.get("/<execution_id>/events")
@takes(query=EventsQuery)
@gives(shapes.EventPage, headers=("Last-Event-ID",), streams=True)
def list_events(execution_id: str, query: EventsQuery) -> Response:
    """Read one page of an execution's events, or follow them.

    With `Accept: text/event-stream` they come as Server-Sent Events, past and to come: `id` is
    the index, `event` the type, `data` one event; last `event: end` with `{status, nextIndex}`. A
    stream that ends without it is to be asked for again, with `Last-Event-ID`, which means nothing
    to a page; `limit` has no meaning there. 503 where as many are followed as can be. As a WebSocket the same address gives
    frames `{events, nextIndex}`, and `{end, status, nextIndex}` last; it takes `fromIndex`,
    `eventTypes`, `batchSize` (1 to 1000, 100 by default) and `batchTimeoutMs` (0 to 1000, 25 by
    default).
    """
    events = services().executions.events(
        execution_id,
        caller(),
        from_index=query.from_index,
        limit=query.limit,
        types=query.event_types,
    )
    return answer({"events": events.events, "nextIndex": events.next_index, "end": events.end})


def _created(made: Created | Replayed) -> Response:
    """Show the one execution that was made, by this request or before."""
    match made:
        case Replayed([execution_id]):
            execution, headers = services().executions.get(execution_id, caller()), REPLAYED
        case Created([execution]):
            headers = {}
    location = f"{blueprint.url_prefix}/{execution['id']}"
    return answer(execution, 201, {"Location": location, **headers})


def _create(body: BaseModel, bodies: Sequence[CreateExecution], prefix: str) -> Created | Replayed:
    """Create them; `prefix` is where the body of each stands in the request's."""
    wanted = [_new(each) for each in bodies]
    key = read_key(body)
    if key is None:
        return Created(services().executions.create(wanted, caller(), prefix.format))
    return services().creation.create(key, wanted, caller(), prefix.format)


def _new(body: CreateExecution) -> NewExecution:
    return NewExecution(
        flow_id=body.flow_id,
        flow_version=body.flow_version,
        inputs=body.inputs,
        options=body.options.model_dump(by_alias=True),
        integration=body.integration,
        events=[each.stored() for each in body.events or ()],
        autostart=body.autostart,
    )
