"""What a fork takes over of a run by the simulator's store: templates, and versions that broke."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from app.caller import Caller
from app.errors import Conflict, ValidationFailed
from app.executions.creation import Created
from app.executions.forking import Forking, NewFork
from app.executions.plans import PlanCache
from app.executions.service import ExecutionService
from app.ids import id_source
from app.nodes.registry import builtin_catalogue
from app.store.flows import FlowStore
from app.store.forks import ForkTable
from app.store.keys import KeyTable
from app.vault import NO_KEY
from tests.unit.executions.test_corpus_steps import Workers

OWNER = Caller("local")
FRESH_ID = id_source(Random(7))
#: Workers of all tests share their plans.
TEMPLATES, MENDED = "V2templates", "V2mended"

Json = dict[str, Any]


def text(node_id: str, **more: Any) -> Json:
    return {"id": node_id, "type": "TextNode", "values": {"text": "Ada"}, **more}


class Nobody:
    """Wakes no worker."""

    def room(self, wanted: int) -> int:
        return 0 * wanted

    def unoffered(self, execution_ids: Sequence[str]) -> Sequence[str]:
        return execution_ids[:0]


def store(workers: Workers, flow_id: str, nodes: Sequence[Json], *edges: tuple[str, str]) -> None:
    document = {
        "id": flow_id,
        "metadata": {"name": "flow"},
        "nodes": nodes,
        "edges": [{"source": source, "target": target} for source, target in edges],
    }
    FlowStore(workers.world.database).store(flow_id, OWNER, "flow", json.dumps(document))


def ran(workers: Workers, flow_id: str, total: int) -> str:
    execution_id = workers.world.create(flow_id=flow_id, nodes_total=total)
    workers.run(execution_id)
    return execution_id


def fork(workers: Workers, execution_id: str, *without: str, **wanted: Any) -> str:
    """Fork and run it; by an API that doesn't know some node types."""
    known = {name: spec for name, spec in builtin_catalogue().items() if name not in without}
    world, plans = workers.world, PlanCache(known)
    fake: Any = None
    nobody: Any = Nobody()
    service = ExecutionService(
        world.table, fake, plans, fake, fake, nobody, FRESH_ID, start_ttl_ms=1, publishes=False
    )
    forking = Forking(
        service,
        world.table,
        ForkTable(world.database),
        KeyTable(world.database),
        plans,
        NO_KEY,
        FRESH_ID,
        start_ttl_ms=1,
    )
    made = forking.fork(execution_id, NewFork(autostart=True, **wanted), OWNER)
    assert isinstance(made, Created)
    forked: str = made.executions[0]["id"]
    workers.run(forked)
    return forked


def outputs_of(workers: Workers, execution_id: str) -> dict[str, Json]:
    rows = workers.world.rows("chaingraph_checkpoints", execution_id=execution_id)
    return {row.node_id: row.outputs for row in rows}


def takes_over(workers: Workers, forked: str) -> list[str]:
    """What the fork has told that it takes over."""
    [_, _, told], *_ = workers.world.events(forked)
    found: list[str] = json.loads(told)["takenOver"]
    return found


TEMPLATE = [
    text("shell"),
    text("inner", metadata={"parentNodeId": "shell"}),
    text("b"),
    text("c"),
]
FROM_TEMPLATE = ("inner.text", "b.text")


@pytest.mark.parametrize("at", [None, "inner", "c"])
def test_inputs_for_a_template_have_all_run_anew_that_it_feeds(at: str | None) -> None:
    workers = Workers()
    store(workers, TEMPLATES, TEMPLATE, FROM_TEMPLATE)
    source = ran(workers, TEMPLATES, 4)

    forked = fork(workers, source, from_node_id=at, inputs={"inner": {"text": "Grace"}})

    assert set(takes_over(workers, forked)) == {"shell", "c"} - {at}
    assert outputs_of(workers, forked)["b"]["text"] == "Grace"


def test_what_a_template_feeds_takes_no_inputs_where_it_is_taken_over() -> None:
    workers = Workers()
    store(workers, TEMPLATES, TEMPLATE, FROM_TEMPLATE)
    source = ran(workers, TEMPLATES, 4)
    with pytest.raises(ValidationFailed) as refused:
        fork(workers, source, inputs={"b": {"text": "Grace"}})
    assert [fault.pointer for fault in refused.value.faults] == ["/inputs/b"]


def test_onto_a_mended_flow_all_runs_anew_where_the_former_is_unknown_here() -> None:
    workers = Workers()
    half = {"id": "half", "type": "MathNode", "values": {"a": 1, "b": 2, "operation": "divide"}}
    store(workers, MENDED, [text("a"), half])
    source = ran(workers, MENDED, 2)
    store(workers, MENDED, [text("a"), text("half")])

    forked = fork(workers, source, "MathNode", flow_version=2)

    assert takes_over(workers, forked) == []
    assert workers.world.row(forked).status == "completed"
    for version in (None, 1):
        with pytest.raises(Conflict, match="can't be compiled here any more: /nodes/1/type"):
            fork(workers, source, "MathNode", flow_version=version)
