"""The built-in node types are ChainGraph's: the same names, ports, types and defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.flows.shaping import is_open
from app.nodes.registry import builtin_catalogue
from app.nodes.spec import NodeSpec
from app.values.checks import check_value
from app.values.codec import port_from_json
from app.values.ports import MISSING, Direction, Missing, PortConfig, PortType
from tests.corpus_cases import all_cases
from tests.node_library import ExpectedType, expected_types

LIBRARY = expected_types()

#: Types that touch something outside or give another result each time.
WITH_EFFECTS = {
    "ForEachNode",
    "HttpRequestNode",
    "LLMCallNode",
    "LLMCallWithStructuredOutputNode",
    "RandomNode",
    "RunFlowNode",
    "ServerTimeNode",
    "SleepNode",
    "WaitForSignalNode",
}

#: Ports of exported nodes that mean nothing here: they are kept in the document.
WITHOUT_MEANING = {"processedEventsOffset"}

COMPARED = (
    "type",
    "direction",
    "required",
    "default",
    "integer",
    "minimum",
    "maximum",
    "min_length",
    "max_length",
    "pattern",
    "options",
)

#: Where our ports differ from ChainGraph's, and why.
ON_PURPOSE: Mapping[tuple[str, str, str], str] = {
    ("NumberToStringNode", "decimalPlaces", "integer"): "bounds of exports aren't enforced",
    ("NumberToStringNode", "decimalPlaces", "minimum"): "bounds of exports aren't enforced",
    ("StringLengthNode", "length", "integer"): "a length is whole",
    ("TextSearchNode", "sourceText", "min_length"): "an empty text can be searched",
}


def exported_ports() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Type, port id and config of every port in the corpus whose type is built in."""
    for case in all_cases():
        for node in case.flow["nodes"]:
            for port in node["ports"]:
                named = port["config"]["id"] not in WITHOUT_MEANING
                if named and node["type"] in builtin_catalogue():
                    yield node["type"], port["config"]["id"], port["config"]


def differences(own: PortConfig, exported: PortConfig) -> Iterator[str]:
    for attribute in COMPARED:
        if getattr(own, attribute) != getattr(exported, attribute):
            yield attribute


def is_shaped_by_document(config: PortConfig, attribute: str) -> bool:
    """Whether an edge or an editor gives a port this trait, so that it says nothing of its type.

    A port of any type takes over whatever it is connected to, a mutable one its schema.
    """
    if config.type is PortType.ANY:
        return attribute not in ("type", "direction")
    if config.type is PortType.ENUM and config.gives_output:
        return attribute == "options"
    return config.mutable and attribute == "default"


def test_every_type_of_the_library_is_there() -> None:
    assert set(LIBRARY) == set(builtin_catalogue())


@pytest.mark.parametrize("name", builtin_catalogue())
def test_a_type_has_the_ports_of_the_library(name: str) -> None:
    spec, expected = builtin_catalogue()[name], LIBRARY[name]

    assert spec.category == expected.category
    assert set(spec.ports) == set(expected.ports)
    assert list(told_of(spec, expected)) == []


def told_of(spec: NodeSpec, expected: ExpectedType) -> Iterator[str]:
    """Where the ports of a type differ from what the table says of them."""
    for port, wanted in expected.ports.items():
        own = spec.ports[port]
        item = own.item.type if own.item is not None else None
        inside = (own.item or own).properties or {}
        pairs = {
            "direction": (own.direction, wanted.direction),
            "type": (own.type, wanted.type),
            "required": (own.required, wanted.required),
            "open": (is_open(own) or not wanted.is_open, True),
            "default": (own.default, own.default if wanted.default is MISSING else wanted.default),
            "options": (set(own.options or wanted.options), set(wanted.options or own.options)),
            "item": (item or PortType.ANY, wanted.item or item or PortType.ANY),
            "properties": (set(inside), set(wanted.properties or inside)),
        }
        for what, (own_value, wanted_value) in pairs.items():
            if own_value != wanted_value:
                yield f"{port}: {what} is {own_value}, not {wanted_value}"


@pytest.mark.parametrize("spec", builtin_catalogue().values(), ids=lambda spec: spec.type)
def test_a_type_is_described(spec: NodeSpec) -> None:
    assert spec.title
    assert spec.description.endswith(".")


@pytest.mark.parametrize("spec", builtin_catalogue().values(), ids=lambda spec: spec.type)
def test_a_type_keeps_its_promise_about_effects(spec: NodeSpec) -> None:
    if spec.type in WITH_EFFECTS:
        assert spec.effects
    if spec.category in ("transforms", "basic-values"):
        assert not spec.effects


@pytest.mark.parametrize("spec", builtin_catalogue().values(), ids=lambda spec: spec.type)
def test_defaults_are_allowed_where_they_stand(spec: NodeSpec) -> None:
    for port, config in spec.ports.items():
        if not isinstance(config.default, Missing) and config.direction is not Direction.OUTPUT:
            assert check_value(config, config.default) is None, port


def test_exported_nodes_have_exactly_the_ports_of_their_type() -> None:
    for case in all_cases():
        for node in case.flow["nodes"]:
            spec = builtin_catalogue().get(node["type"])
            if spec is not None:
                exported = {port["config"]["id"] for port in node["ports"]}
                assert exported - WITHOUT_MEANING == spec.ports.keys(), f"{case.name}, {node['id']}"


def test_exported_ports_are_those_of_the_catalogue() -> None:
    found = {
        (type_, port, attribute)
        for type_, port, raw in exported_ports()
        for own in [builtin_catalogue()[type_].ports[port]]
        for attribute in differences(own, port_from_json(raw, lenient=True))
        if not is_shaped_by_document(own, attribute)
    }
    assert found == ON_PURPOSE.keys()
