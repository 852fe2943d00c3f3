from __future__ import annotations

from typing import Any

import pytest

from app.errors import ValidationFailed
from app.flows.compile import compile_plan, prepare
from app.flows.document import Form, parse_document
from app.flows.plan import Plan, PlanNode
from app.nodes.registry import builtin_catalogue
from app.nodes.spec import RetryPolicy
from app.values.ports import SYSTEM_PORTS, PortType
from tests.unit.flows.catalogue import CATALOGUE, exported, flow, node


def plan_of(*nodes: Any, **more: Any) -> Plan:
    return prepare(flow(*nodes, **more), CATALOGUE).plan


def only(*nodes: Any) -> PlanNode:
    return plan_of(*nodes).nodes[0]


def test_nodes_and_edges_keep_the_order_of_the_document() -> None:
    plan = plan_of(
        node("b"),
        node("a", "MathNode"),
        node("c", "MathNode"),
        edges=["a.result -> c.b", "a.result -> c.a", "b.__success -> c.__execute", "a.b -> c.b"],
        id="V2x",
    )
    assert plan.flow_id == "V2x"
    assert [each.id for each in plan.nodes] == ["b", "a", "c"]
    assert plan.index_of == {"b": 0, "a": 1, "c": 2}
    assert [(each.path, each.edges) for each in plan.nodes[2].in_ports] == [
        (("b",), (0, 3)),
        (("a",), (1,)),
        (("__execute",), (2,)),
    ]
    assert plan.nodes[1].out_edges == (0, 1, 3)
    assert [edge.id for edge in plan.edges] == ["edge-0", "edge-1", "edge-2", "edge-3"]
    assert plan.edges[2].source_root == "__success"


def test_an_edge_without_an_id_never_gets_one_that_is_taken() -> None:
    taken = {"id": "edge-1", "source": "a.text", "target": "b.text"}
    plan = plan_of(node("a"), node("b"), edges=[taken, "a.__success -> b.__execute"])
    assert [edge.id for edge in plan.edges] == ["edge-1", "edge-1-"]


def test_the_longest_node_id_that_fits_wins() -> None:
    plan = plan_of(
        node("a", "ObjectNode"),
        node("a.object", "ObjectNode"),
        node("b", "AnyNode"),
        edges=["a.object.object.x -> b.value"],
    )
    assert plan.edges[0].source == 1
    assert plan.edges[0].source_path == ("object", "x")


def test_a_dot_at_the_end_leaves_the_shorter_node_id() -> None:
    plan = plan_of(
        node("a", "ObjectNode"),
        node("a.object", "ObjectNode"),
        node("b", "AnyNode"),
        edges=["a.object -> b.value"],
    )
    assert (plan.edges[0].source, plan.edges[0].source_path) == (0, ("object",))


def test_children_of_one_port_are_ports_of_their_own() -> None:
    schema = {"properties": {"x": {"type": "string"}, "y": {"type": "string", "required": True}}}
    plan = plan_of(
        node("a"),
        node("t", "TemplateNode", ports={"variables": {"schema": schema}}),
        edges=["a.text -> t.variables.x", "a.text -> t.variables.y"],
    )
    in_ports = plan.nodes[1].in_ports
    assert [port.path for port in in_ports] == [("variables", "x"), ("variables", "y")]
    assert [port.config.required for port in in_ports] == [False, True]
    assert in_ports[0].config.type is PortType.STRING


def test_stored_values_go_before_defaults_of_the_document_and_those_before_the_type_s() -> None:
    def port(**more: Any) -> Any:
        return exported("a", "TextNode", []) | {
            "ports": [{"config": {"id": "text", "type": "string"} | more}]
        }

    assert only(node("a")).values["text"] == ""
    assert only(port(defaultValue="doc")).values["text"] == "doc"
    stored = port(defaultValue="doc")
    stored["ports"][0]["value"] = "stored"
    assert only(stored).values["text"] == "stored"
    assert only(node("a", values={"text": "own"})).values["text"] == "own"


def test_nested_values_are_laid_over_whole_ones_wherever_they_stand() -> None:
    values = {
        "variables.who.age": 36,
        "variables": {"who": {"name": "Ada"}},
        "variables.list[1]": 2,
    }
    assert only(node("t", "TemplateNode", values=values)).values == {
        "template": "",
        "renderedText": "",
        "variables": {"who": {"name": "Ada", "age": 36}, "list": [None, 2]},
    }


def test_a_nested_value_leaves_the_default_of_the_type_alone() -> None:
    assert only(node("r", "RegExpNode", values={"flags.global": True})).values["flags"] == {
        "global": True
    }
    assert CATALOGUE["RegExpNode"].ports["flags"].default == {"global": False}


def test_defaults_of_properties_that_a_document_names_are_filled_in() -> None:
    properties = {"x": {"type": "number", "defaultValue": 1}, "y": {"type": "number"}}
    ports = {"object": {"type": "object", "schema": {"properties": properties}}}
    assert only(node("o", "ObjectNode", ports=ports)).values == {"object": {"x": 1}}


def test_a_stored_execute_counts_and_the_other_system_ports_do_not() -> None:
    raw = exported("a", "TextNode", [("text", "string", "x")])
    raw["systemPorts"] = {
        "execute": {"id": "__execute", "value": False},
        "success": {"id": "__success", "value": True},
        "errorMessage": {"id": "__errorMessage", "value": 7},
    }
    assert only(raw).values == {"text": "x", "__execute": False}
    assert only(node("a", values={"__execute": False})).values["__execute"] is False


def test_every_node_has_the_system_ports() -> None:
    assert only(node("a")).ports.keys() == {*SYSTEM_PORTS, "text"}


def test_retry_and_timeout_of_the_document_go_before_those_of_the_type() -> None:
    plain = only(node("m", "MathNode"))
    assert (plain.retry, plain.timeout_ms, plain.queue) == (RetryPolicy(2, 50), 1_000, "default")
    retry = {"maxAttempts": 3, "backoffFactor": 1.5, "maxBackoffMs": 10}
    said = only(node("m", "MathNode", retry=retry, timeoutMs=5, queue="gpu"))
    assert said.retry == RetryPolicy(3, 50, 1.5, 10)
    assert (said.timeout_ms, said.queue) == (5, "gpu")


def test_a_node_handles_its_error_if_an_edge_leaves_an_error_port() -> None:
    plan = plan_of(
        node("a"), node("b"), node("c"), edges=["a.__errorMessage -> c.text", "b.text -> c.text"]
    )
    assert [each.handles_error for each in plan.nodes] == [True, False, False]


def test_children_of_a_parent_that_is_no_group_are_templates() -> None:
    plan = plan_of(
        node("c", metadata={"parentNodeId": "p"}),
        node("p"),
        node("d", metadata={"parentNodeId": "gone"}),
        edges=["c.text -> p.text"],
    )
    assert [(each.is_template, each.parent) for each in plan.nodes] == [
        (True, 1),
        (False, None),
        (False, None),
    ]


def test_a_template_starts_a_cycle_that_it_is_part_of() -> None:
    child = node("c", metadata={"parentNodeId": "p"})
    plan_of(child, node("p"), edges=["c.text -> p.text", "p.text -> c.text"])


def test_a_cycle_that_an_outside_edge_into_the_same_port_can_start_is_fine() -> None:
    plan = plan_of(
        node("s"),
        node("A"),
        node("B"),
        edges=["A.text -> B.text", "B.text -> A.text", "s.text -> A.text"],
    )
    assert len(plan.edges) == 3


def test_outputs_of_the_flow_are_places_in_its_nodes() -> None:
    raw = flow(node("m", "MathNode"), node("o", "ObjectNode"))
    raw["metadata"]["outputs"] = {"sum": "m.result", "inner": "o.object.a[0]", "ok": "m.__success"}
    assert prepare(raw, CATALOGUE).plan.outputs == {
        "sum": (0, ("result",)),
        "inner": (1, ("object", "a", 0)),
        "ok": (0, ("__success",)),
    }
    assert plan_of(node("a")).outputs is None


def test_any_may_be_given_a_type_that_then_counts() -> None:
    plan = plan_of(
        node("a", "AnyNode", ports={"value": {"type": "number"}}),
        node("n", "NumberNode"),
        edges=["a.value -> n.num"],
    )
    config = plan.nodes[0].ports["value"]
    assert config.type is PortType.ANY
    assert config.underlying is not None


def test_a_type_that_takes_more_ports_gets_them_from_the_document() -> None:
    ports = {
        "in": {"type": "string", "defaultValue": "x"},
        "more": {"type": "any", "direction": "output"},
    }
    opened = only(node("o", "OpenNode", ports=ports))
    assert opened.values == {"in": "x"}
    assert opened.ports["in"].takes_input
    assert opened.ports["more"].gives_output


@pytest.mark.parametrize("form", ["native", "export"])
def test_an_export_is_recognised_by_its_shape(form: str) -> None:
    raw = flow(exported("a", "TextNode", []) if form == "export" else node("a"))
    assert parse_document(raw).form is Form(form)
    raw = flow(metadata={"name": "x", "schemaVersion": "v2"} if form == "export" else {"name": "x"})
    assert parse_document(raw).form is Form(form)


def test_an_export_keeps_what_is_not_known_and_ignores_ports_that_its_type_lacks() -> None:
    raw = flow(
        exported("a", "TextNode", [("processedEventsOffset", "number", 3)], zzz=1), more=True
    )
    prepared = prepare(raw, CATALOGUE)
    assert "processedEventsOffset" not in prepared.plan.nodes[0].ports
    assert prepared.document.raw is raw


def test_the_bounds_that_an_export_states_are_not_enforced_when_it_runs() -> None:
    raw = exported("d", "DecimalsNode", [("places", "number", -1, {"min": -1, "max": 3})])
    config = only(raw).ports["places"]
    assert only(raw).spec.ports["places"].minimum is None
    assert (config.minimum, config.maximum, config.integer) == (None, None, False)
    assert only(node("d", "DecimalsNode")).ports["places"].minimum == -1


def test_an_export_says_more_of_ports_that_are_open() -> None:
    schema = {"properties": {"n": {"type": "number", "id": "object.n", "direction": "output"}}}
    raw = exported("o", "ObjectNode", [("object", "object", {"n": 1}, {"schema": schema})])
    plan = plan_of(raw, exported("n", "NumberNode", []), edges=["o.object.n -> n.num"])
    assert plan.edges[0].source_path == ("object", "n")


def test_a_stale_output_of_an_export_is_ignored_with_a_warning() -> None:
    prepared = prepare(flow(exported("m", "MathNode", [("result", "number", "old")])), CATALOGUE)
    assert prepared.plan.nodes[0].values["result"] == 0
    assert prepared.warnings[0].message == "is ignored: must be a number, not a string"


def test_a_default_of_an_export_that_its_port_cannot_hold_is_ignored_with_a_warning() -> None:
    raw = exported("a", "TextNode", [("text", "string", "x", {"defaultValue": 3})])
    del raw["ports"][0]["value"]
    prepared = prepare(flow(raw), CATALOGUE)
    assert prepared.plan.nodes[0].values["text"] == ""
    assert prepared.warnings[0].pointer == "/nodes/0/ports/0/config/defaultValue"


def test_what_an_edge_may_bring_need_not_be_stored() -> None:
    properties = {"n": {"type": "number", "required": True}}
    ports = {"object": {"schema": {"properties": properties}}}
    stored = only(node("o", "ObjectNode", ports=ports, values={"object": {}}))
    assert stored.values == {"object": {}}


def test_a_parsed_document_compiles_to_the_same_plan() -> None:
    raw = flow(node("a"), node("b"), edges=["a.text -> b.text"])
    assert compile_plan(parse_document(raw), CATALOGUE) == prepare(raw, CATALOGUE).plan


def test_what_comes_with_an_event_has_the_schema_of_its_listener() -> None:
    schema = {"type": "object", "schema": {"properties": {"n": {"type": "number"}}}}
    listener = node("on", "EventListenerNodeV2", ports={"eventSchema": schema})
    raw = flow(listener, node("m", "MathNode"), edges=["on.eventPayload.n -> m.a"])

    prepare(raw, builtin_catalogue())

    del listener["ports"]
    with pytest.raises(ValidationFailed) as failed:
        prepare(raw, builtin_catalogue())
    assert "(any) can't feed 'a' (number)" in failed.value.faults[0].message
