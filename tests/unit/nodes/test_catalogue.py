"""The built-in node types are ChainGraph's: the same names, ports, types and defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.nodes.registry import builtin_catalogue
from app.nodes.spec import NodeSpec
from app.values.checks import check_value
from app.values.codec import port_from_json
from app.values.ports import Direction, Missing, PortConfig, PortType
from tests.corpus_cases import all_cases

EXPECTED: Mapping[str, str] = {
    "basic-values": """TextNode MarkdownTextNode NumberNode BooleanNode HTMLPreviewNode ObjectNode
        ArrayNode""",
    "flow": """BranchNode SwitchNode GateNodeV2 GateNode EventEmitterNode EventListenerNodeV2
        EventListenerNode IsRootExecutionNode SleepNode RunFlowNode ForEachNode
        WaitForSignalNode""",
    "group": "GroupNode",
    "math": "AndNode OrNode NotNode RandomNode MathNode",
    "data": """NumberToStringNode StringLengthNode TextSearchNode StreamBufferNode OnStreamStarted
        TextStreamNode""",
    "utilities": """DebugLogNode HttpRequestNode RegExpNode HandlebarsTemplateNode
        LangchainTemplateNode JSONSerializerNode YAMLSerializerNode JsonYamlDeserializerNode
        SchemaInferNode GetPortSchemaNode ServerTimeNode StringToEnumNode WaitForStream""",
    "secret": "UnencryptedSecret SecretNode",
    "ai": "LLMCallNode LLMCallWithStructuredOutputNode",
    "transforms": """ArrayConcatNode ArrayElementNode ArrayEmbedNode ArrayFirstNode ArrayLastNode
        ArrayLengthNode ArrayPartitionNode ArrayPickNode ArrayPluckNode ArrayReduceNode
        ArrayRemapNode ArrayReverseNode ArraySliceNode ArrayZipNode ArrayZipMergeNode
        FilterArrayLuceneNode ObjectKeysNode ObjectValuesNode TypeFocusNode TypeMergeNode
        TypeUnwrapNode TypeWrapNode""",
}

#: Types that touch something outside or give another result each time.
WITH_EFFECTS = {
    "EventEmitterNode",
    "ForEachNode",
    "HttpRequestNode",
    "LLMCallNode",
    "LLMCallWithStructuredOutputNode",
    "RandomNode",
    "RunFlowNode",
    "SecretNode",
    "ServerTimeNode",
    "SleepNode",
    "UnencryptedSecret",
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


def expected_types() -> dict[str, str]:
    return {name: group for group, names in EXPECTED.items() for name in names.split()}


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


def test_every_type_is_in_its_category() -> None:
    known = expected_types()
    for name, spec in builtin_catalogue().items():
        assert known.get(name) == spec.category, name


def test_the_types_of_the_corpus_with_pure_nodes_are_there() -> None:
    transforms = set(EXPECTED["transforms"].split()) | set(EXPECTED["math"].split())
    assert transforms <= builtin_catalogue().keys()


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
