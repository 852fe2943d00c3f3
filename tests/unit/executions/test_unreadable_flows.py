"""Executions stay readable whatever became of their flow, and of what they were given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.caller import Caller
from app.errors import Conflict
from app.executions.plans import PlanCache
from app.executions.service import ExecutionService
from app.nodes.registry import builtin_catalogue
from app.store.flows import FlowStore
from tests.unit.executions.test_corpus_steps import Workers

OWNER = Caller("local")
GREET = {"id": "greet", "type": "TextNode", "values": {"text": "Ada"}}
HALF = {"id": "half", "type": "MathNode", "values": {"a": 1, "b": 2, "operation": "divide"}}
FLOW = "V2flow"


def ran(workers: Workers, **more: Any) -> str:
    """An execution that has run to its end."""
    flows = FlowStore(workers.world.database)
    document = {"id": FLOW, "metadata": {"name": "flow"}, "nodes": [GREET, HALF], "edges": []}
    flows.store(FLOW, OWNER, "flow", json.dumps(document))
    execution_id = workers.world.create(flow_id=FLOW, nodes_total=2, **more)
    workers.run(execution_id)
    return execution_id


def service(workers: Workers, *without: str) -> ExecutionService:
    """The API of a process that doesn't know these node types."""
    known = {name: spec for name, spec in builtin_catalogue().items() if name not in without}
    fake: Any = None
    return ExecutionService(
        workers.world.table, fake, PlanCache(known), fake, fake, fake, fake, start_ttl_ms=1
    )


def test_what_was_given_inputs_that_do_not_fit_is_shown() -> None:
    workers = Workers()
    execution = ran(workers, inputs='{"half":{"a":"abc"}}')
    api = service(workers)

    shown = api.get(execution, OWNER)
    assert (shown["status"], shown["outputs"]) == ("failed", None)
    assert "/inputs/half/a" in shown["errorMessage"]
    nodes = api.nodes(execution, OWNER, limit=10, offset=0)
    assert [node["id"] for node in nodes] == ["greet", "half"]
    assert {node["status"] for node in nodes} == {"cancelled"}
    assert api.node(execution, OWNER, "half") == nodes[1]


def test_an_execution_is_shown_though_a_node_type_is_gone() -> None:
    workers = Workers()
    execution = ran(workers)
    whole = service(workers).get(execution, OWNER)
    assert (whole["status"], whole["outputs"]["half"]["result"]) == ("completed", 0.5)

    api = service(workers, "MathNode")

    assert api.get(execution, OWNER) == {**whole, "outputs": None}


def test_why_its_nodes_can_not_be_shown_is_told_in_words() -> None:
    workers = Workers()
    execution = ran(workers)
    api = service(workers, "MathNode")

    told = "can't be compiled here any more: /nodes/1/type"
    with pytest.raises(Conflict, match=told):
        api.nodes(execution, OWNER, limit=10, offset=0)
    with pytest.raises(Conflict, match=told):
        api.node(execution, OWNER, "half")
