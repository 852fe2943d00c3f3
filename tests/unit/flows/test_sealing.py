"""Secrets in documents and inputs: sealed wherever a port is for one, masks put back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.errors import ValidationFailed
from app.flows import holds_mask, prepare, restore_masks, seal_document, seal_inputs
from app.nodes.registry import builtin_catalogue
from app.nodes.spec import NodeSpec
from app.values.ports import Direction, PortConfig, PortType, Value
from app.values.secrets import MASK, SEALED, is_sealed, masked

SECRET = PortConfig(PortType.SECRET)
KEYED = NodeSpec(
    "KeyedNode",
    "test",
    {
        "key": SECRET,
        "many": PortConfig(PortType.ARRAY, item=SECRET),
        "config": PortConfig(
            PortType.OBJECT, properties={"key": SECRET, "name": PortConfig(PortType.STRING)}
        ),
        "plain": PortConfig(PortType.STRING, default=""),
        "out": PortConfig(PortType.SECRET, Direction.OUTPUT),
    },
    lambda inputs, _: inputs,
    extra_ports=True,
)
CATALOGUE = {**builtin_catalogue(), "KeyedNode": KEYED}

PLAIN = "sk-very-plain"


def seal(value: Value) -> str:
    """Reversed: no cipher, but the plain text is gone."""
    return json.dumps(value)[::-1]


def document(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "V2x", "metadata": {"name": "x"}, "nodes": list(nodes), "edges": [], **more}


def own(data: Value = None, **more: Any) -> dict[str, Any]:
    values = {
        "secretType": "openai",
        "unencryptedData": {"apiKey": PLAIN} if data is None else data,
    }
    return {"id": "own", "type": "UnencryptedSecret", "values": values, **more}


def keyed(**values: Any) -> dict[str, Any]:
    return {"id": "k", "type": "KeyedNode", "values": values}


def sealed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Sealed, and found to be a document that can run."""
    made = seal_document(prepare(raw, CATALOGUE), seal)
    prepare(made, CATALOGUE)
    return dict(made)


@pytest.mark.parametrize(
    "raw",
    [
        own(),
        own({"apiKey": {"inner": [PLAIN]}}),
        {**own(), "values": {"unencryptedData.apiKey": PLAIN}},
        {
            "id": "own",
            "type": "UnencryptedSecret",
            "ports": {"unencryptedData": {"type": "object", "defaultValue": {"apiKey": PLAIN}}},
        },
        {
            "id": "own",
            "type": "UnencryptedSecret",
            "ports": {
                "unencryptedData": {
                    "type": "object",
                    "schema": {"properties": {"apiKey": {"type": "string", "defaultValue": PLAIN}}},
                }
            },
        },
        keyed(key=PLAIN),
        keyed(key={"apiKey": PLAIN}),
        keyed(many=[PLAIN, None]),
        keyed(config={"key": PLAIN, "name": "n"}),
        keyed(**{"config.key": PLAIN}),
        {"id": "k", "type": "KeyedNode", "ports": {"x": {"type": "secret", "defaultValue": PLAIN}}},
    ],
)
def test_a_secret_is_sealed_wherever_it_stands(raw: dict[str, Any]) -> None:
    made = sealed(document(raw))
    assert PLAIN not in json.dumps(made)
    assert MASK in json.dumps(masked(made))
    assert SEALED not in json.dumps(masked(made))


def test_an_export_is_sealed_in_its_values_and_its_defaults() -> None:
    ports = [
        {
            "config": {
                "id": "unencryptedData",
                "type": "object",
                "defaultValue": {"apiKey": PLAIN},
            },
            "value": {"apiKey": PLAIN},
        },
        {"config": {"id": "secret", "type": "secret", "direction": "output"}, "value": PLAIN},
        {"config": {"id": "unknown", "type": "secret"}, "value": PLAIN},
    ]
    raw = document({"id": "own", "type": "UnencryptedSecret", "ports": ports})
    raw["metadata"]["schemaVersion"] = "v2"
    made = sealed(raw)
    assert PLAIN not in json.dumps(made)
    assert is_sealed(made["nodes"][0]["ports"][0]["value"])
    assert is_sealed(made["nodes"][0]["ports"][2]["value"])


def test_what_is_no_secret_stays_as_it_is() -> None:
    raw = document(
        keyed(plain=PLAIN, config={"name": "n"}, key={"$secret": "mine"}, many=[]),
        own({}),
        {"id": "t", "type": "TextNode", "values": {"text": "a"}},
    )
    assert sealed(raw) == raw


def test_a_flow_without_ports_for_secrets_is_handed_on_untouched() -> None:
    raw = document({"id": "t", "type": "TextNode", "values": {"text": "a"}})
    prepared = prepare(raw, CATALOGUE)
    assert seal_document(prepared, seal) is prepared.document.raw
    assert not prepared.plan.holds_secrets


def test_inputs_are_sealed_by_port_and_by_path() -> None:
    plan = prepare(document(keyed(), own({})), CATALOGUE).plan
    inputs = {"k": {"key": PLAIN, "plain": "p"}, "own": {"unencryptedData.apiKey": PLAIN}}
    made = seal_inputs(plan, inputs, seal)
    assert made["k"]["plain"] == "p"
    assert is_sealed(made["k"]["key"])
    assert is_sealed(made["own"]["unencryptedData.apiKey"])


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (keyed(key=MASK), "/nodes/0/values/key"),
        (own(MASK), "/nodes/0/values/unencryptedData"),
        (keyed(key={"$secret": 7}), "/nodes/0/values/key"),
        (keyed(key={"$secret": "a", "b": 1}), "/nodes/0/values/key"),
        (keyed(key=7), "/nodes/0/values/key"),
    ],
)
def test_what_stands_for_no_secret_is_refused(raw: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        prepare(document(raw), CATALOGUE)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]
    assert PLAIN not in str(refused.value.faults)


def test_a_mask_is_replaced_by_what_stood_in_its_place() -> None:
    stored = sealed(document(own(), keyed(key=PLAIN, config={"key": PLAIN, "name": "n"})))
    shown = masked(stored)
    assert holds_mask(shown)
    assert restore_masks(shown, stored) == stored
    # Nodes are known by their ids, wherever they stand.
    moved = {**shown, "nodes": list(reversed(shown["nodes"]))}
    assert restore_masks(moved, stored)["nodes"] == list(reversed(stored["nodes"]))


def test_a_mask_in_another_place_stays_a_mask() -> None:
    stored = sealed(document(own(), keyed(key=PLAIN)))
    raw = document({**own(MASK), "id": "new"}, keyed(plain=MASK), {"id": "k2"})
    assert restore_masks(raw, stored) == raw


def test_ports_of_an_export_are_known_by_their_ids() -> None:
    def export(*ports: dict[str, Any]) -> dict[str, Any]:
        raw = document({"id": "own", "type": "UnencryptedSecret", "ports": list(ports)})
        raw["metadata"]["schemaVersion"] = "v2"
        return raw

    data = {"config": {"id": "unencryptedData", "type": "object"}, "value": {"apiKey": PLAIN}}
    kind = {"config": {"id": "secretType", "type": "enum"}, "value": "openai"}
    stored = sealed(export(data, kind))
    turned = masked(stored)
    turned["nodes"][0]["ports"].reverse()
    assert restore_masks(turned, stored)["nodes"][0]["ports"][1] == stored["nodes"][0]["ports"][0]


@pytest.mark.parametrize("raw", [{}, {"nodes": 7}, {"nodes": [7, {"id": []}, {"id": "own"}]}])
def test_masks_are_looked_for_in_what_is_no_document_too(raw: dict[str, Any]) -> None:
    assert restore_masks(raw, sealed(document(own()))) == raw
