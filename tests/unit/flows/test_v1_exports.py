"""Exports of v1 become the flows that they were. None is at hand: v2 exports are written as v1."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.errors import ValidationFailed
from app.flows.compile import Prepared, prepare
from app.flows.document import read_document
from app.flows.faults import FaultLog
from app.local import run_in_process
from app.nodes.registry import builtin_catalogue
from tests.corpus_cases import Case, all_cases
from tests.unit.flows.catalogue import CATALOGUE, flow

BUILT = all_cases()

#: Each takes a tenth of a second; the random ones are much alike.
TRIED = [case for place, case in enumerate(BUILT) if case.folder != "random" or place % 5 == 0]

SYSTEM = {"execute": True, "success": False, "error": False, "errorMessage": ""}


def as_v1(document: dict[str, Any]) -> dict[str, Any]:
    """Write an export of v2 as one of v1: every port apart, with an id of its own."""
    old = copy.deepcopy(document)
    old["metadata"]["schemaVersion"] = "v1"
    ids: dict[tuple[str, str], str] = {}
    for node in old["nodes"]:
        ports = dict(ports_of(node, ids))
        del node["systemPorts"]
        node |= {"ports": ports, "schemaVersion": "v1"}
    for edge in old["edges"]:
        for end in ("source", "target"):
            place = edge[f"{end}NodeId"], edge[f"{end}PortId"]
            edge[f"{end}PortId"] = ids[place]
    return old


def ports_of(
    node: dict[str, Any], ids: dict[tuple[str, str], str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, port in node["systemPorts"].items():
        system_id = ids[node["id"], f"__{key}"] = f"{key}:POsystem"
        config = {"id": system_id, "key": key, "type": "boolean"}
        yield system_id, {"config": config, "value": port.get("value", SYSTEM[key])}
    for port in node["ports"]:
        yield from exploded(node["id"], port, port["config"]["id"], None, ids)


def exploded(
    node_id: str,
    port: dict[str, Any],
    path: str,
    parent: str | None,
    ids: dict[tuple[str, str], str],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A port and, before it, those inside it, which leave its schema and its value."""
    config = port["config"]
    port_id = ids[node_id, path] = f"{config['key']}:PO{len(ids)}"
    properties = config.get("schema", {}).get("properties", {})
    value = port.get("value")
    for key in list(properties):
        inner = {"config": {**properties.pop(key), "key": key}}
        if isinstance(value, dict) and key in value:
            inner["value"] = value.pop(key)
        yield from exploded(node_id, inner, f"{path}.{key}", port_id, ids)
    if config["type"] == "array" and "itemConfig" in config:
        # Elements are wired by their place; those of the corpus lie in the first ten.
        for place in range(10):
            item = {"config": {**copy.deepcopy(config["itemConfig"]), "key": str(place)}}
            yield from exploded(node_id, item, f"{path}[{place}]", port_id, ids)
    config |= {"id": port_id} if parent is None else {"id": port_id, "parentId": parent}
    yield port_id, port


def compiled(document: dict[str, Any]) -> Prepared:
    return prepare(document, builtin_catalogue())


@pytest.mark.parametrize("case", TRIED, ids=lambda case: f"{case.folder}/{case.name}")
def test_an_export_written_as_v1_is_the_same_flow(case: Case) -> None:
    there, here = compiled(case.flow).plan, compiled(as_v1(case.flow)).plan

    assert here.edges == there.edges
    for mine, theirs in zip(here.nodes, there.nodes, strict=True):
        assert mine.values == theirs.values
        assert mine.in_ports == theirs.in_ports
        assert mine.ports == theirs.ports


def test_what_is_stored_of_it_is_a_v2_export() -> None:
    [case] = [case for case in BUILT if case.name == "listen-chain"]
    written = as_v1(case.flow)
    before = json.dumps(written)

    stored = dict(compiled(written).document.raw)

    assert json.dumps(written) == before
    assert stored["metadata"]["schemaVersion"] == "v2"
    assert [edge["sourcePortId"] for edge in stored["edges"]] == [
        edge["sourcePortId"] for edge in case.flow["edges"]
    ]
    assert "schemaVersion" in stored["nodes"][0]
    assert [port["config"]["id"] for port in stored["nodes"][0]["ports"]] == [
        "eventName",
        "eventSchema",
        "processedEventsOffset",
        "eventPayload",
    ]
    assert compiled(stored).plan.edges == compiled(case.flow).plan.edges


def test_it_runs() -> None:
    [case] = [case for case in BUILT if case.name == "listen-chain"]
    result = run_in_process(as_v1(case.flow), builtin_catalogue(), event=case.event)
    assert result.nodes["msg"].outputs == {"renderedText": "Order 34 for Ada"}


ODD_PORTS: list[dict[str, Any]] = [
    {"a:PO1": {"config": {"id": "a:PO1", "parentId": "a:PO1", "type": "object"}}},
    {
        "a:PO1": {"config": {"parentId": "b:PO2", "type": "object"}},
        "b:PO2": {"config": {"parentId": "a:PO1", "type": "object"}},
    },
    {"a:PO1": {"config": {"parentId": "gone", "type": "object"}}},
    {"a:PO1": 7, "text:PO2": {"config": {"type": "string", "key": ["x"]}}},
    {"text:PO1": {"config": {"type": "string", "schema": 1, "key": "text"}, "value": "a"}},
    {
        f"p{n}:PO": {"config": {"type": "object", "parentId": f"p{n - 1}:PO", "key": "p"}}
        for n in range(3_000)
    },
    dict(
        reversed(
            {
                f"p{n}:PO": {"config": {"type": "object", "parentId": f"p{n - 1}:PO", "key": "p"}}
                for n in range(3_000)
            }.items()
        )
    ),
]


@pytest.mark.parametrize("ports", ODD_PORTS)
def test_ports_that_make_no_sense_are_read_all_the_same(ports: dict[str, Any]) -> None:
    read = read_document(flow({"id": "a", "type": "TextNode", "ports": ports}), FaultLog())
    assert read is not None
    assert all(len(port.id) < 1_000 for port in read.nodes[0].ports)


def test_a_fault_of_it_is_told_where_it_stands_in_v2() -> None:
    ports = {"x:PO123": {"config": {"id": "x:PO123", "type": "string", "key": "text"}, "value": 1}}
    raw = flow({"id": "a", "type": "TextNode", "ports": ports})
    faults = FaultLog()
    assert read_document(raw, faults) is not None
    with pytest.raises(ValidationFailed) as failed:
        prepare(raw, CATALOGUE)
    assert [fault.pointer for fault in failed.value.faults] == ["/nodes/0/ports/0/value"]
