from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from app.errors import Fault, ValidationFailed
from app.flows.compile import prepare
from app.flows.document import parse_document
from tests.unit.flows.catalogue import CATALOGUE, exported, flow, node


def faults(raw: Any) -> dict[str, str]:
    """The faults of a document, messages by pointer."""
    with pytest.raises(ValidationFailed) as failed:
        prepare(raw, CATALOGUE)
    return {fault.pointer: fault.message for fault in failed.value.faults}


@pytest.mark.parametrize("raw", [None, [], 3, "flow", True, float("nan")])
def test_what_is_no_object_is_no_flow(raw: Any) -> None:
    assert "" in faults(raw)


def test_every_fault_is_listed_at_once_with_its_pointer() -> None:
    raw = flow(
        node("a", "NumberNode", values={"num": "seven", "nope": 1}),
        node("a", "NoSuchNode"),
        node("c", "MathNode", retry={"maxAttempts": 0}, timeoutMs=0, colour="red"),
        edges=["a.num -> x.text", "c.result -> c.nope"],
    )
    raw["extra"] = 1
    found = faults(raw)
    assert found["/extra"] == "is not a field that is known here"
    assert found["/nodes/0/values/num"] == "must be a number, not a string"
    assert found["/nodes/0/values/nope"] == "NumberNode has no port 'nope'"
    assert found["/nodes/1/id"] == "node 0 has the id 'a', too"
    assert found["/nodes/1/type"] == "unknown node type 'NoSuchNode'"
    assert found["/nodes/2/retry/maxAttempts"] == "must be between 1 and 100"
    assert found["/nodes/2/timeoutMs"] == "must be between 1 and 86400000"
    assert found["/nodes/2/colour"] == "is not a field that is known here"
    assert found["/edges/0/target"] == "'x.text' is no 'node.port' of a node that there is"
    assert found["/edges/1/target"] == "node 'c' (MathNode) has no port 'nope'"
    assert len(found) == 10


def test_what_is_missing_is_named() -> None:
    assert faults({}) == {
        "/metadata": "is missing",
        "/nodes": "is missing",
        "/edges": "is missing",
    }
    assert faults(flow({}, metadata={})) == {
        "/metadata/name": "is missing",
        "/nodes/0/id": "is missing",
        "/nodes/0/type": "is missing",
    }


def test_a_group_inside_itself_is_refused() -> None:
    outer = node("g", "GroupNode", metadata={"parentNodeId": "h"})
    inner = node("h", "GroupNode", metadata={"parentNodeId": "g"})
    member = node("m", metadata={"parentNodeId": "g"})
    with pytest.raises(ValidationFailed) as failed:
        prepare(flow(outer, inner, member), CATALOGUE)
    assert failed.value.faults == [
        Fault("/nodes/0/metadata/parentNodeId", "is inside itself: g → h → g")
    ]


def test_a_group_inside_itself_may_be_in_a_cycle_beside() -> None:
    raw = flow(
        node("g", "GroupNode", metadata={"parentNodeId": "g"}),
        node("a", metadata={"parentNodeId": "g"}),
        edges=[{"source": "g.__success", "target": "a.__execute"}],
    )
    assert faults(raw) == {
        "/nodes/0/metadata/parentNodeId": "is inside itself: g → g",
        "/nodes/1/metadata/parentNodeId": (
            "nothing from outside can set this cycle going: g → a → g"
        ),
    }


def test_a_child_that_waits_for_its_own_group_is_a_cycle() -> None:
    raw = flow(
        node("g", "GroupNode"),
        node("a", metadata={"parentNodeId": "g"}),
        edges=[{"source": "g.__success", "target": "a.__execute"}],
    )
    message = "nothing from outside can set this cycle going: g → a → g"
    assert faults(raw) == {"/nodes/1/metadata/parentNodeId": message}


@pytest.mark.parametrize("name", ["two,three", "-q", "a b", "", "ä", "x" * 101, "unacked"])
def test_a_queue_has_a_name_that_a_worker_can_be_told(name: str) -> None:
    assert "/nodes/0/queue" in faults(flow(node("a", queue=name)))


@pytest.mark.parametrize("name", ["default", "gpu", "gpu-2.large_x", "9"])
def test_a_queue_may_have_any_such_name(name: str) -> None:
    prepare(flow(node("a", queue=name)), CATALOGUE)


def test_edges_may_not_go_against_the_direction_of_a_port() -> None:
    raw = flow(
        node("m", "MathNode"),
        node("t", "TemplateNode"),
        edges=["t.template -> m.a", "m.a -> m.result", "m.__execute -> t.__execute"],
    )
    found = faults(raw)
    assert found["/edges/0/source"] == "'template' is an input: no edge can leave it"
    assert found["/edges/1/target"] == "'result' is an output: no edge can lead into it"
    assert found["/edges/2/source"] == "'__execute' is an input: no edge can leave it"


def test_types_that_do_not_fit_are_refused() -> None:
    raw = flow(
        node("t"),
        node("m", "MathNode"),
        node("o", "ObjectNode"),
        node("u"),
        edges=["t.text -> m.a", "o.object.size -> m.b", "m.result -> u.__execute"],
    )
    assert faults(raw) == {
        "/edges/0": "'text' (string) can't feed 'a' (number)",
        "/edges/1": "'object.size' (any) can't feed 'b' (number)",
        "/edges/2": "'result' (number) can't feed '__execute' (boolean)",
    }


def test_the_same_edge_twice_and_one_id_twice_are_refused() -> None:
    long = {
        "id": "e",
        "sourceNodeId": "a",
        "sourcePortId": "text",
        "targetNodeId": "b",
        "targetPortId": "text",
    }
    other = {"id": "e", "source": "a.__success", "target": "b.__execute"}
    raw = flow(node("a"), node("b"), edges=[long, "a.text -> b.text", other])
    assert faults(raw) == {
        "/edges/1": "is the same edge as /edges/0",
        "/edges/2/id": "another edge has the id 'e', too",
    }


def test_an_edge_says_its_ends_once() -> None:
    both = {
        "source": "a.text",
        "sourceNodeId": "a",
        "sourcePortId": "text",
        "targetNodeId": "b",
        "targetPortId": "text",
    }
    found = faults(flow(node("a"), node("b"), edges=[both]))
    assert list(found) == ["/edges/0/source"]
    assert faults(flow(node("a"), edges=[{"source": "a.text"}, {}, 7])) == {
        "/edges/0/target": "is missing",
        "/edges/1/sourceNodeId": "is missing",
        "/edges/1/sourcePortId": "is missing",
        "/edges/1/targetNodeId": "is missing",
        "/edges/1/targetPortId": "is missing",
        "/edges/2": "an edge must be an object, not a number",
    }


def test_values_must_be_what_their_port_allows() -> None:
    raw = flow(
        node("d", "DecimalsNode", values={"places": -2}),
        node("e", "DecimalsNode", values={"places": 1.5}),
        node("m", "MathNode", values={"operation": "guess", "a": True}),
        node("r", "RegExpNode", values={"sourceText": None, "flags": {"global": "yes"}}),
        node("s", "RegExpNode", values={"flags.global": 1, "flags.local": True}),
    )
    assert faults(raw) == {
        "/nodes/0/values/places": "must be at least -1",
        "/nodes/1/values/places": "must be a whole number",
        "/nodes/2/values/operation": "must be one of add, divide",
        "/nodes/2/values/a": "must be a number, not a boolean",
        "/nodes/3/values/sourceText": "must not be null",
        "/nodes/3/values/flags/global": "must be a boolean, not a string",
        "/nodes/4/values/flags.global": "must be a boolean, not a number",
        "/nodes/4/values/flags.local": "RegExpNode has no port 'flags.local'",
    }


def test_ports_are_changed_only_where_their_type_allows_it() -> None:
    raw = flow(
        node("a", ports={"text": {"type": "number"}, "__success": {"type": "any"}}),
        node("o", "ObjectNode", ports={"object": {"type": "array"}, "more": {"type": "any"}}),
        node("p", "ObjectNode", ports={"object": {"schema": {"properties": {"x": {}}}}}),
        node("q", "AnyNode", ports={"value": {"typ": "string"}}),
        node("x", "OpenNode", ports={"a.b": {"type": "string"}, "c": 3}),
    )
    assert faults(raw) == {
        "/nodes/0/ports/text": "TextNode doesn't let its port 'text' be changed",
        "/nodes/0/ports/__success": "a system port can't be changed",
        "/nodes/1/ports/object": "is of type object, and can't be made array",
        "/nodes/1/ports/more": "ObjectNode has no port 'more'",
        "/nodes/2/ports/object/schema/properties/x/type": (
            "must be one of string, number, boolean, array, object, enum, stream, secret, any"
        ),
        "/nodes/3/ports/value/typ": "is not a setting of a port",
        "/nodes/4/ports/a.b": "a port's id must not hold '.', '[' or ']'",
        "/nodes/4/ports/c": "must be an object: a port config",
    }


def test_a_cycle_that_nothing_can_set_going_is_shown() -> None:
    raw = flow(
        node("s"),
        node("A"),
        node("B"),
        node("C"),
        edges=[
            "s.__success -> A.__execute",
            "A.text -> B.text",
            "B.text -> A.text",
            "B.text -> C.text",
        ],
    )
    message = "nothing from outside can set this cycle going: A → B → A"
    assert faults(raw) == {"/edges/2": message}


def test_a_node_that_feeds_itself_is_a_cycle() -> None:
    found = faults(flow(node("A"), edges=["A.text -> A.text"]))
    assert found == {"/edges/0": "nothing from outside can set this cycle going: A → A"}


def test_each_cycle_is_shown_also_beside_other_faults() -> None:
    ring = ["a.text -> b.text", "b.text -> c.text", "c.text -> a.text"]
    raw = flow(
        *(node(name) for name in "abcxy"),
        node("z", "NoSuchNode"),
        edges=[*ring, "x.text -> y.text", "y.text -> x.text"],
    )
    messages = list(faults(raw).values())
    assert "nothing from outside can set this cycle going: a → b → c → a" in messages
    assert "nothing from outside can set this cycle going: x → y → x" in messages
    assert "unknown node type 'NoSuchNode'" in messages


def test_an_edge_from_a_node_that_is_not_there_makes_no_cycle_of_its_target() -> None:
    raw = flow(
        node("A"), node("B"), edges=["A.text -> B.text", "B.text -> A.text", "x.text -> A.text"]
    )
    assert list(faults(raw)) == ["/edges/2/source"]


def test_a_node_inside_itself_is_refused() -> None:
    inside = [
        node("a", metadata={"parentNodeId": "b"}),
        node("b", metadata={"parentNodeId": "a"}),
        node("c", metadata={"parentNodeId": "c"}),
    ]
    assert faults(flow(*inside)) == {
        "/nodes/0/metadata/parentNodeId": "is inside itself: a → b → a",
        "/nodes/2/metadata/parentNodeId": "is inside itself: c → c",
    }


def test_names_that_the_database_cannot_hold_are_refused() -> None:
    raw = flow(
        node("a\0b"),
        node("c", "Text\0Node"),
        node("d" * 256),
        node(""),
        node("e", queue="q\0"),
        id="f/g",
        metadata={"name": "n\0"},
    )
    found = faults(raw)
    for pointer in ("/id", "/metadata/name", *(f"/nodes/{i}/id" for i in (0, 2, 3))):
        assert pointer in found
    assert found["/nodes/1/type"] == "must not hold the character NUL"
    assert found["/nodes/4/queue"] == "must not hold the character NUL"


@pytest.mark.parametrize("flow_id", ["", ".", "..", "a/b", "a\nb", "x" * 300, 7])
def test_a_flow_id_must_fit_into_a_url(flow_id: Any) -> None:
    assert list(faults(flow(id=flow_id))) == ["/id"]


def test_nul_is_allowed_in_values_and_half_a_surrogate_pair_nowhere() -> None:
    prepare(flow(node("a", values={"text": "a\0b"})), CATALOGUE)
    found = faults(
        flow(node("a", values={"text": "\ud800"}), metadata={"name": "n", "x": "\udfff"})
    )
    assert list(found) == ["/metadata/x", "/nodes/0/values/text"]


def test_numbers_that_no_double_holds_are_refused() -> None:
    raw = flow(
        node("a", "NumberNode", values={"num": 10**400}),
        node("b", "NumberNode", values={"num": float("inf")}),
        node("c", retry={"backoffMs": 10**400, "backoffFactor": float("nan")}),
    )
    found = faults(raw)
    assert "too large" in found["/nodes/0/values/num"]
    assert "JSON can't hold" in found["/nodes/1/values/num"]
    assert "/nodes/2/retry/backoffMs" in found
    assert "/nodes/2/retry/backoffFactor" in found


@pytest.mark.parametrize("depth", [201, 900, 50_000])
def test_brackets_nested_too_deep_are_a_fault(depth: int) -> None:
    deep: Any = []
    for _ in range(depth):
        deep = [deep]
    found = faults(flow(node("a", "AnyNode", values={"value": deep})))
    assert "is nested deeper than 200 levels" in found.values()
    config: Any = {"type": "any"}
    for _ in range(depth):
        config = {"type": "array", "itemConfig": config}
    raw = flow(node("a", "AnyNode", ports={"value": config}), metadata={"name": "x", "deep": deep})
    assert any("is nested deeper than" in message for message in faults(raw).values())


def test_a_pattern_that_would_take_for_ever_is_a_fault_and_not_a_wait() -> None:
    config = {"type": "string", "pattern": "(x+x+)+y"}
    raw = flow(node("o", "ObjectNode", ports={"object": {"schema": {"properties": {"p": config}}}}))
    raw["nodes"][0]["values"] = {"object": {"p": "x" * 5_000}}
    assert "takes too long" in faults(raw)["/nodes/0/values/object/p"]


def test_many_patterns_that_are_slow_to_read_are_a_fault_and_not_a_wait() -> None:
    slow = {f"p{i}": {"type": "string", "pattern": f"\\w{{90000}}{i}"} for i in range(200)}
    raw = flow(
        *(
            node(f"o{i}", "ObjectNode", ports={"object": {"schema": {"properties": slow}}})
            for i in range(5)
        )
    )
    begun_at = time.process_time()
    assert "the pattern takes too long" in faults(raw).values()
    assert time.process_time() - begun_at < 20


def test_nested_values_may_not_make_huge_arrays_nor_endless_depths() -> None:
    deep = ".".join(["object", *"a" * 150])
    value: Any = []
    for _ in range(100):
        value = [value]
    raw = flow(
        node("o", "ObjectNode", values={"object.list[500]": 1}),
        node("p", "ObjectNode", values={"object.list[1000]": 1}),
        node("q", "ObjectNode", values={deep: value}),
    )
    found = faults(raw)
    assert found["/nodes/0/values/object.list[500]"].startswith("position 500 is too far")
    assert "/nodes/1/values/object.list[1000]" in found
    assert "nested deeper than 200 levels" in found["/nodes/2/values"]


def test_defaults_in_a_document_are_checked() -> None:
    properties = {"n": {"type": "number"}}
    ports = {"object": {"schema": {"properties": properties}, "defaultValue": {"n": "x"}}}
    assert faults(flow(node("o", "ObjectNode", ports=ports))) == {
        "/nodes/0/ports/object/defaultValue/n": "must be a number, not a string"
    }


def test_a_whole_number_and_an_array_are_asked_for_where_they_belong() -> None:
    raw = flow(node("a", timeoutMs=1.5), node("b", retry=None), edges=[])
    raw["metadata"]["outputs"] = []
    assert faults(raw) == {
        "/metadata/outputs": "must be an object, not an array",
        "/nodes/0/timeoutMs": "must be a whole number",
        "/nodes/1/retry": "must be an object, not null",
    }


def test_what_an_edge_may_carry_is_named_in_the_fault() -> None:
    person = {"schema": {"properties": {"name": {"type": "string"}}}}
    words = {"itemConfig": {"type": "string"}}
    numbers = {"itemConfig": {"type": "number"}}
    raw = flow(
        node("o", "ObjectNode"),
        node("p", "ObjectNode", ports={"object": person}),
        node("w", "ArrayNode", ports={"array": words}),
        node("n", "ArrayNode", ports={"array": numbers}),
        edges=["o.object -> p.object", "w.array -> n.array"],
    )
    assert faults(raw) == {
        "/edges/0": "'object' (object) can't feed 'object' (object with name)",
        "/edges/1": "'array' (array of string) can't feed 'array' (array of number)",
    }


def test_a_bad_pattern_is_a_fault() -> None:
    config = {"type": "object", "schema": {"properties": {"p": {"type": "string", "pattern": "("}}}}
    found = faults(flow(node("o", "ObjectNode", ports={"object": config})))
    assert list(found) == ["/nodes/0/ports/object/schema/properties/p/pattern"]


def test_outputs_of_the_flow_must_be_places_that_hand_out_values() -> None:
    raw = flow(node("t", "TemplateNode"), node("a"))
    raw["metadata"]["outputs"] = {
        "good": "t.renderedText",
        "bad": "t.template",
        "gone": "x.text",
        "odd": 3,
        "n/a": "a.nope",
    }
    assert faults(raw) == {
        "/metadata/outputs/bad": "'template' is an input",
        "/metadata/outputs/gone": "'x.text' is no 'node.port' of a node that there is",
        "/metadata/outputs/odd": "must be a string, not a number",
        "/metadata/outputs/n~1a": "node 'a' (TextNode) has no port 'nope'",
    }


def test_a_document_with_a_fault_everywhere_is_answered_with_a_bounded_list() -> None:
    raw = flow(*(node(f"n{number}", "NoSuchNode") for number in range(5_000)))
    with pytest.raises(ValidationFailed) as failed:
        prepare(raw, CATALOGUE)
    assert len(failed.value.faults) == 1_001
    assert failed.value.faults[-1].message == "there are 4000 more faults like these"


def test_parsing_alone_refuses_a_broken_shape() -> None:
    with pytest.raises(ValidationFailed) as failed:
        parse_document({"metadata": {"name": "x"}, "nodes": {}, "edges": []})
    assert [fault.pointer for fault in failed.value.faults] == ["/nodes"]


def test_a_wrong_value_in_an_export_is_a_fault_but_one_out_of_bounds_a_warning() -> None:
    raw = flow(
        exported("d", "DecimalsNode", [("places", "number", -5, {"min": -1})]),
        exported("e", "DecimalsNode", [("places", "number", "many")]),
    )
    assert list(faults(raw)) == ["/nodes/1/ports/0/value"]
    del raw["nodes"][1]
    warned = prepare(raw, CATALOGUE).warnings
    assert warned[0].pointer == "/nodes/0/ports/0/value"


def test_a_document_is_left_as_it_came() -> None:
    values = {"variables.who.name": "Ada", "variables": {"who": {"age": 36}}}
    raw = flow(node("t", "TemplateNode", values=values))
    before = copy.deepcopy(raw)
    prepare(raw, CATALOGUE)
    assert raw == before
