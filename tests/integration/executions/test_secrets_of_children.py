"""Secrets between a flow and those that its nodes have run."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest

from app.executions.run import RunEnd
from app.executions.secrets import OwnersVault
from app.nodes.sdk import NodeContext, Port
from app.nodes.sdk import node as node_type
from app.store.secrets import SecretStore
from app.values.secrets import MASK
from app.vault import NO_KEY, Keyring
from tests.integration.executions.nodes import node_that_gives
from tests.integration.executions.process import Process, checkpoints, execution_of, flow, node
from tests.integration.executions.test_children import children
from tests.world import PgWorld

CALLED = "V2called"
PLAIN = "sk-in-the-clear"
KEYRING = Keyring("k" * 32)
ENDED = "node:completed"

CALL = node("calls", "RunFlowNode", values={"flowId": CALLED, "inputs": {"work": {"key": PLAIN}}})
EACH = node(
    "calls", "ForEachNode", values={"flowId": CALLED, "items": [PLAIN], "itemTarget": "work.key"}
)


@node_type("TokenNode", category="test")
def token(
    key: Annotated[Any, Port(type="secret")], ctx: NodeContext
) -> Annotated[Any, Port("token", type="secret")]:
    """Makes a secret of another."""
    return f"token of {ctx.secret(key)}"


@pytest.fixture(autouse=True)
def _called(world: PgWorld) -> None:
    """A flow that takes a secret, and gives one."""
    world.store_flow(flow(node("work", "TokenNode")), CALLED)


def run(process: Process, execution: str, keyring: Keyring = KEYRING) -> RunEnd:
    vault = OwnersVault(keyring, SecretStore(process.database))
    return process.run(execution, token, vault=vault)


def outputs_told(world: PgWorld, execution: str, node_id: str) -> Any:
    """What the event of a node's end says that it gave."""
    told = [json.loads(data) for _, type_, data in world.events(execution) if type_ == ENDED]
    [outputs] = [data["outputs"] for data in told if data["nodeId"] == node_id]
    return outputs


@pytest.mark.parametrize("calling", [CALL, EACH], ids=["run", "each"])
def test_a_childs_inputs_are_sealed_before_they_are_written(
    world: PgWorld, process: Process, calling: dict[str, Any]
) -> None:
    execution = execution_of(world, flow(calling))

    assert run(process, execution) is RunEnd.PARKED
    [child] = children(world, execution)

    sealed = child.inputs["work"]["key"]["$sealed"]
    assert KEYRING.open("local", sealed) == PLAIN
    assert run(process, child.id) is RunEnd.FINISHED
    assert world.row(child.id).status == "completed"


def test_the_events_of_a_child_mask_the_secret_that_it_is_given_for_any_port(
    world: PgWorld, process: Process
) -> None:
    sealed = {"$sealed": KEYRING.seal("local", PLAIN)}
    world.store_flow(flow(node("work", "ValueNode")), "V2plain")
    values = {"flowId": "V2plain", "inputs": {"work": {"given": sealed}}}
    execution = execution_of(world, flow(node("calls", "RunFlowNode", values=values)))
    wraps = node_that_gives(lambda _, given: [given])
    process.run(execution, wraps)
    [child] = children(world, execution)

    assert process.run(child.id, wraps) is RunEnd.FINISHED

    assert checkpoints(world, child.id)["work"].outputs == {"value": [sealed]}
    assert outputs_told(world, child.id, "work") == {"value": [MASK]}


@pytest.mark.parametrize("calling", [CALL, EACH], ids=["run", "each"])
def test_without_a_key_they_are_not_written_at_all(
    world: PgWorld, process: Process, calling: dict[str, Any]
) -> None:
    execution = execution_of(world, flow(calling))

    assert run(process, execution, NO_KEY) is RunEnd.FINISHED

    row = world.row(execution)
    assert (row.status, row.error_node_id) == ("failed", "calls")
    assert "SECRET_KEY" in row.error_message
    assert children(world, execution) == []


@pytest.mark.parametrize("calling", [CALL, EACH], ids=["run", "each"])
def test_the_events_of_a_flow_without_secrets_mask_those_that_a_child_gives(
    world: PgWorld, process: Process, calling: dict[str, Any]
) -> None:
    port = "outputs" if calling is CALL else "results"
    document = flow(
        calling,
        node("any", "JSONSerializerNode"),
        edges=[{"source": f"calls.{port}", "target": "any.data"}],
    )
    execution = execution_of(world, document)
    run(process, execution)
    [child] = children(world, execution)
    run(process, child.id)

    assert run(process, execution) is RunEnd.FINISHED

    stored = json.dumps(checkpoints(world, execution)["calls"].outputs)
    assert "$sealed" in stored
    told = outputs_told(world, execution, "calls")
    assert MASK in json.dumps(told)
    assert "$sealed" not in json.dumps(told)
