"""Documents made to be expensive: what they cost stays in proportion to their size."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from app.errors import Fault, ValidationFailed
from app.flows import overlay_inputs, restore_masks
from app.flows.compile import prepare
from app.flows.storing import locate
from app.flows.v1 import migrate
from app.nodes.spec import Catalogue
from app.values.bounds import Bounds, PatternTime
from app.values.compatibility import Comparison
from app.values.conforming import conform
from app.values.ports import PortConfig, PortType
from tests.unit.flows.catalogue import CATALOGUE, flow, node, spec

LONG = "x" * 100_000

#: What a pointer or a message of a fault may be long, whatever stands in the document.
FAULT_LENGTH = 3_000


class CountedOptions(tuple[Any, ...]):
    """Options of an enum that know how often all of them were looked at."""

    __slots__ = ()

    reads = 0

    def __iter__(self) -> Iterator[Any]:
        type(self).reads += 1
        return super().__iter__()


class CountedItems(list[Any]):
    """A list that knows how often it was walked."""

    reads = 0

    def __iter__(self) -> Iterator[Any]:
        type(self).reads += 1
        return super().__iter__()


class CountedProperties(dict[str, PortConfig]):
    """Properties that know how often all of them were looked at."""

    reads = 0

    def items(self) -> Any:
        type(self).reads += 1
        return super().items()


def v1(ports: dict[str, Any], edges: list[Any] | None = None) -> dict[str, Any]:
    exported = {"id": "n", "type": "ObjectNode", "metadata": {}, "ports": ports}
    metadata = {"name": "old", "schemaVersion": "v1"}
    return {"id": "V2old", "metadata": metadata, "nodes": [exported], "edges": edges or []}


def family(size: int, key: str = "object") -> dict[str, Any]:
    """A port of v1 with so many children, each with a value."""
    children = {
        f"k{n}:PO{n}": {"config": {"type": "number", "key": f"k{n}", "parentId": "p"}, "value": n}
        for n in range(size)
    }
    return {"p": {"config": {"type": "object", "key": key}, "value": {"k0": "own"}}, **children}


def faults_of(raw: Any, catalogue: Catalogue = CATALOGUE) -> list[Fault]:
    with pytest.raises(ValidationFailed) as failed:
        prepare(raw, catalogue)
    return list(failed.value.faults)


def test_a_port_of_v1_takes_up_its_children_in_linear_time() -> None:
    def seconds(size: int) -> float:
        raw = v1(family(size))
        best = float("inf")
        for _ in range(3):
            begun_at = time.process_time()
            migrate(raw)
            best = min(best, time.process_time() - begun_at)
        return best

    # Ten times as many cost ten times as much; with a copy for each child it is a hundred.
    assert seconds(20_000) < 35 * seconds(2_000)


def test_a_port_of_v1_takes_up_what_its_children_say_and_leaves_the_export_alone() -> None:
    raw = v1(family(3))
    raw["nodes"][0]["ports"]["p"]["config"]["schema"] = {"properties": {"k1": {"type": "any"}}}

    (port,) = migrate(raw)["nodes"][0]["ports"]

    assert port["value"] == {"k0": "own", "k1": 1, "k2": 2}
    assert port["config"]["schema"]["properties"].keys() == {"k0", "k1", "k2"}
    assert port["config"]["schema"]["properties"]["k1"] == {"type": "any"}
    assert raw["nodes"][0]["ports"]["p"]["value"] == {"k0": "own"}
    assert raw["nodes"][0]["ports"]["p"]["config"]["schema"]["properties"].keys() == {"k1"}


def test_a_long_key_of_v1_is_not_repeated_in_the_ids_below_it() -> None:
    edges = [
        {"sourceNodeId": "n", "sourcePortId": port, "targetNodeId": "n", "targetPortId": "p"}
        for port in family(50)
    ]

    moved = migrate(v1(family(50, LONG), edges))["edges"]

    assert moved[0]["sourcePortId"] == LONG
    assert {edge["sourcePortId"] for edge in moved[2:]} == {f"k{n}:PO{n}" for n in range(1, 50)}


def test_a_position_is_no_port_that_is_called_by_a_number() -> None:
    ports = {"0": PortConfig(PortType.ANY)}
    assert locate(ports, "0") == (("0",), ports["0"])
    assert locate(ports, "[0]") is None
    assert locate(ports, "[0].a") is None

    open_node = node("n", "OpenNode", ports={"0": {"type": "any"}})
    assert not prepare(flow(node("a"), open_node, edges=["a.text -> n.0"]), CATALOGUE).warnings
    (fault,) = faults_of(flow(node("a"), open_node, edges=["a.text -> n.[0]"]))
    assert "has no port '[0]'" in fault.message


def test_paths_leave_so_many_positions_empty_and_no_more_in_a_whole_document() -> None:
    raw = flow(*(node(f"n{n}", "ArrayNode", values={"array[99][99]": n}) for n in range(100)))

    faults = faults_of(raw)

    assert [fault.pointer for fault in faults] == [
        f"/nodes/{n}/values/array[99][99]" for n in range(50, 100)
    ]
    plan = prepare(flow(node("n", "ArrayNode", values={"array[99][99]": 1})), CATALOGUE).plan
    assert plan.nodes[0].values["array"][99][99] == 1
    given = {f"array[{n}][100]": n for n in range(99)}
    assert overlay_inputs(plan, {"n": given})[0]["array"][98][100] == 98
    with pytest.raises(ValidationFailed) as failed:
        overlay_inputs(plan, {"n": {**given, "array[199][5]": 1}})
    assert [fault.pointer for fault in failed.value.faults] == ["/inputs/n/array[199][5]"]


def test_two_schemas_are_compared_once_for_all_edges_between_them() -> None:
    CountedProperties.reads = 0
    inner = PortConfig(PortType.OBJECT, properties=CountedProperties(a=PortConfig(PortType.ANY)))
    outer = PortConfig(PortType.OBJECT, properties=CountedProperties(inner=inner))
    comparison = Comparison()

    assert all(comparison.can_feed(outer, outer) for _ in range(10))
    assert comparison.can_feed(inner, inner)
    assert CountedProperties.reads == 2


def test_many_edges_between_two_wide_ports_are_checked_in_linear_time() -> None:
    def seconds(size: int) -> float:
        properties = {f"p{n}": {"type": "number"} for n in range(size)}
        ports = {"object": {"type": "object", "schema": {"properties": properties}}}
        ends = [node(name, "ObjectNode", ports=ports) for name in "ab"]
        raw = flow(*ends, edges=["a.object -> b.object"] * size)
        best = float("inf")
        for _ in range(3):
            begun_at = time.process_time()
            with suppress(ValidationFailed):
                prepare(raw, CATALOGUE)
            best = min(best, time.process_time() - begun_at)
        return best

    assert seconds(5_000) < 35 * seconds(500)


def test_a_fault_names_no_more_than_the_beginning_of_what_is_long() -> None:
    wrong = {"type": "array", "itemConfig": {"type": "enum", "options": [LONG, "b"]}}
    deep = {"type": "object", "schema": {"properties": {LONG: {"type": "object", "schema": 1}}}}
    strict = {"type": "array", "itemConfig": {"type": "string", "pattern": f"^{LONG[:5_000]}$"}}
    ports = {"wrong": wrong, "deep": deep, "strict": strict}
    values = {"wrong": ["c"] * 5, "strict": ["c"] * 5}
    raw = flow(
        node("a", "OpenNode", ports=ports, values=values),
        node("b", "OpenNode", ports={"any": {"type": "object"}}, values={"any": {LONG: {1: 2}}}),
        node("c", "ObjectNode", ports={"object": {"type": "object", "x": 1}}),
    )

    faults = faults_of(raw) + faults_of(flow(raw["nodes"][0] | {"ports": {**ports, "deep": {}}}))

    assert any(f"/{'x' * 200}…/" in fault.pointer for fault in faults)
    assert any("must be one of xxx" in fault.message for fault in faults)
    assert any("pattern ^xxx" in fault.message for fault in faults)
    assert all(len(fault.pointer) + len(fault.message) < FAULT_LENGTH for fault in faults)


def test_two_ports_with_long_names_inside_are_named_shortly() -> None:
    def wide(name: str) -> dict[str, Any]:
        return {"object": {"type": "object", "schema": {"properties": {name: {"type": "any"}}}}}

    raw = flow(
        node("a", "ObjectNode", ports=wide("short")),
        node("b", "ObjectNode", ports=wide(LONG)),
        edges=["a.object -> b.object"],
    )

    (fault,) = faults_of(raw)

    assert fault.message.startswith("'object' (object with short) can't feed 'object' (object wit")
    assert len(fault.message) < FAULT_LENGTH


def test_the_faults_of_one_config_are_listed_up_to_a_bound_and_counted() -> None:
    properties = {f"p{n}": 1 for n in range(5_000)}
    ports = {"object": {"type": "object", "schema": {"properties": properties}}}

    faults = faults_of(flow(node("a", "ObjectNode", ports=ports)))

    assert faults[999].pointer == "/nodes/0/ports/object/schema/properties/p999"
    assert len(faults) <= 1_002


@pytest.fixture
def rows() -> Catalogue:
    CountedOptions.reads = 0
    item = PortConfig(PortType.ENUM, options=CountedOptions(f"o{n}" for n in range(100)))
    row = PortConfig(PortType.ARRAY, item=item, default=[])
    CountedOptions.reads = 0
    return {"RowNode": spec("RowNode", ports={"row": row})}


def test_the_options_of_an_enum_are_taken_up_once_for_all_values(rows: Catalogue) -> None:
    values = {f"row[{n}]": f"o{n}" for n in range(50)}

    plan = prepare(flow(node("a", "RowNode", values=values)), rows).plan
    assert CountedOptions.reads == 1

    overlay_inputs(plan, {"a": values})
    assert CountedOptions.reads == 2


def test_the_inputs_of_many_runs_share_what_is_known_of_their_ports(
    rows: Catalogue,
) -> None:
    plan = prepare(flow(node("a", "RowNode")), rows).plan
    CountedOptions.reads = 0
    bounds = Bounds(PatternTime())

    for _ in range(50):
        overlay_inputs(plan, {"a": {"row": ["o1"]}}, bounds)

    assert CountedOptions.reads == 1


def test_the_inputs_of_many_runs_share_the_time_for_their_patterns() -> None:
    item = {"type": "string", "pattern": "x"}
    ports = {"array": {"type": "array", "itemConfig": item}}
    plan = prepare(flow(node("a", "ArrayNode", ports=ports)), CATALOGUE).plan
    bounds = Bounds(PatternTime(0))

    with pytest.raises(ValidationFailed) as failed:
        overlay_inputs(plan, {"a": {"array": ["x"]}}, bounds)
    assert failed.value.faults[0].message.endswith("the pattern takes too long")


def test_the_options_of_an_enum_are_taken_up_once_for_all_items_of_an_event(
    rows: Catalogue,
) -> None:
    row = rows["RowNode"].ports["row"]

    assert conform(row, [f"o{n}" for n in range(50)])[49] == "o49"
    assert CountedOptions.reads == 1


def test_what_stood_in_the_places_of_masks_is_looked_at_once() -> None:
    CountedItems.reads = 0
    old = flow(node("a", values={"many": CountedItems(range(100))}))
    new = flow(*(node("a", values={"many": []}) for _ in range(50)))

    assert restore_masks(new, old) == new
    assert CountedItems.reads == 1


def test_a_port_that_an_export_lists_twice_has_each_mask_restored_from_its_own() -> None:
    def exported(*secrets: Any) -> dict[str, Any]:
        ports = [{"config": {"id": "key", "type": "secret"}, "value": each} for each in secrets]
        return flow({"id": "a", "type": "OpenNode", "ports": ports})

    stored = exported({"$sealed": "one"}, {"$sealed": "two"})

    assert restore_masks(exported("********", "********"), stored) == stored
