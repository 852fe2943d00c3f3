"""The suite that every store passes: the secrets that a flow keeps where a mask is sent back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.caller import Caller
from app.errors import ValidationFailed
from app.executions.flows import FlowService
from app.nodes.registry import builtin_catalogue
from app.store.flows import FlowStore
from app.vault import Keyring
from tests.world import World

ADA = Caller("ada")
BOB = Caller("bob")
ROOT = Caller("root", "admin")
FLOW = "V2kept"


def document(data: Any) -> dict[str, Any]:
    values = {"secretType": "openai", "unencryptedData": {"apiKey": data}}
    nodes = [{"id": "own", "type": "UnencryptedSecret", "values": values}]
    return {"id": FLOW, "metadata": {"name": "kept"}, "nodes": nodes, "edges": []}


@pytest.fixture
def flows(world: World) -> FlowStore:
    return FlowStore(world.database)


@pytest.fixture
def service(flows: FlowStore) -> FlowService:
    keyring = Keyring("a key of more than thirty-two characters")
    return FlowService(flows, builtin_catalogue(), lambda prefix: f"{prefix}1", keyring)


def test_the_newest_document_is_the_owners_alone_and_outlives_hiding(flows: FlowStore) -> None:
    for number in (1, 2):
        flows.store(FLOW, ADA, "kept", json.dumps({"number": number}))
    flows.hide(FLOW, ADA)

    newest = flows.newest_document(FLOW, "ada")

    assert newest is not None
    assert json.loads(newest) == {"number": 2}
    assert flows.newest_document(FLOW, "bob") is None
    assert flows.newest_document("V2none", "ada") is None


def test_an_admin_keeps_the_secrets_of_a_flow_by_replacing_it_alone(service: FlowService) -> None:
    shown = service.store(document("plain"), ADA)["document"]

    assert service.validate(shown, ROOT).faults == ()
    with pytest.raises(ValidationFailed):
        service.store(shown, ROOT)
    service.replace(FLOW, shown, ROOT)

    assert service.get(FLOW, ADA)["version"] == 2


def test_nobody_else_takes_the_secrets_of_a_hidden_flow(service: FlowService) -> None:
    shown = service.store(document("plain"), ADA)["document"]
    service.hide(FLOW, ADA)

    for other in (BOB, ROOT):
        assert service.validate(shown, other).faults
        with pytest.raises(ValidationFailed):
            service.store(shown, other)
    assert service.store(shown, ADA)["version"] == 2
