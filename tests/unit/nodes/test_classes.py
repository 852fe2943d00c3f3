"""Classes as nodes: state for one run, and ports that follow from their configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from app.errors import NodeDefinitionError, NodeError, ValidationFailed
from app.flows import prepare
from app.flows.plan import Plan
from app.nodes.registry import builtin_catalogue
from app.nodes.sdk import NodeContext, Port, node, spec_of
from app.nodes.spec import NodeSpec
from app.values.ports import Direction, PortType
from chaingraph import run_flow, run_node
from tests.unit.nodes.context import run

CATEGORY = "test"


def spec(target: object) -> NodeSpec:
    found = spec_of(target)
    assert found is not None
    return found


@node("JoinNode", category=CATEGORY, effects=False)
class Join:
    """Joins named texts, and gives each in capitals.

    Ports: `names` of the texts, `separator` between them.
    """

    def __init__(self, names: list[str], separator: str = " ") -> None:
        if len(set(names)) < len(names):
            raise ValueError("a name comes twice")
        self.names = names
        self.separator = separator

    def ports(self) -> dict[str, Any]:
        texts = {name: Annotated[str, Port(default="", max_length=5)] for name in self.names}
        capitals = {f"{name}Caps": Annotated[str, Port(direction="output")] for name in self.names}
        return texts | capitals | {"joined": Annotated[str, Port(direction="output")]}

    def run(self, **texts: str) -> dict[str, str]:
        joined = self.separator.join(texts[name] for name in self.names)
        return {f"{name}Caps": text.upper() for name, text in texts.items()} | {"joined": joined}


def plan(values: dict[str, Any], *edges: str, catalogue: Mapping[str, NodeSpec]) -> Plan:
    nodes = [
        {"id": "who", "type": "TextNode", "values": {"text": "Ada"}},
        {"id": "n", "type": "JoinNode", "values": values},
    ]
    ends = [edge.split(" > ") for edge in edges]
    document = {
        "metadata": {"name": "test"},
        "nodes": nodes,
        "edges": [{"source": source, "target": target} for source, target in ends],
    }
    return prepare(document, catalogue).plan


CATALOGUE = {**builtin_catalogue(), "JoinNode": spec(Join)}


def test_what_the_constructor_takes_is_a_port() -> None:
    ports = spec(Join).ports
    assert list(ports) == ["names", "separator"]
    assert ports["names"].required
    assert ports["separator"].description == "between them"


def test_ports_follow_from_what_the_document_stores() -> None:
    ports = plan({"names": ["a", "b"], "a": "x"}, catalogue=CATALOGUE).nodes[1].ports

    assert [name for name in ports if not name.startswith("__")] == [
        "names",
        "separator",
        "a",
        "b",
        "aCaps",
        "bCaps",
        "joined",
    ]
    assert ports["a"].type is PortType.STRING
    assert ports["aCaps"].direction is Direction.OUTPUT


def test_two_nodes_of_one_type_differ_in_their_ports() -> None:
    nodes = [
        {"id": name, "type": "JoinNode", "values": {"names": [name]}} for name in ("one", "two")
    ]
    document = {"metadata": {"name": "test"}, "nodes": nodes, "edges": []}
    one, two = prepare(document, CATALOGUE).plan.nodes

    assert "one" in one.ports
    assert "one" not in two.ports
    assert "one" not in spec(Join).ports


def test_a_configured_node_runs_in_a_flow() -> None:
    flow = {
        "metadata": {"name": "test"},
        "nodes": [
            {"id": "who", "type": "TextNode", "values": {"text": "Ada"}},
            {"id": "join", "type": "JoinNode", "values": {"names": ["a", "b"], "a": "Hi"}},
            {"id": "caps", "type": "TextNode"},
        ],
        "edges": [
            {"source": "who.text", "target": "join.b"},
            {"source": "join.bCaps", "target": "caps.text"},
        ],
    }
    ran = run_flow(flow, {"join": {"separator": ", "}}, nodes=[Join])

    assert ran.status == "completed"
    assert ran.nodes["join"].outputs == {"aCaps": "HI", "bCaps": "ADA", "joined": "Hi, Ada"}
    assert ran.outputs == {"caps": {"text": "ADA"}}


def test_a_configured_node_can_be_tried_alone() -> None:
    assert run_node(Join, {"names": ["x"], "x": "y"}).outputs == {"xCaps": "Y", "joined": "y"}


@pytest.mark.parametrize(
    ("values", "edge", "faults"),
    [
        ({}, None, ["/nodes/1/values: give JoinNode no ports: port 'names' has no value"]),
        (
            {"names": ["a", "a"]},
            None,
            ["/nodes/1/values: give JoinNode no ports: ValueError: a name comes twice"],
        ),
        (
            {"names": "a"},
            None,
            ["/nodes/1/values/names: must be an array, not a string"],
        ),
        (
            {"names": ["separator"]},
            None,
            ["/nodes/1/values: give JoinNode no ports: two of its ports have the name 'separator'"],
        ),
        ({"names": ["a.b"]}, None, ["/nodes/1/values: give JoinNode no ports: its port 'a.b' has"]),
        ({"names": ["a"], "b": 1}, None, ["/nodes/1/values/b: JoinNode has no port 'b'"]),
        ({"names": ["a"], "a": "too long"}, None, ["/nodes/1/values/a: must have at most 5 char"]),
        ({"names": ["a"]}, "who.text > n.b", ["/edges/0/target: node 'n' (JoinNode) has no port"]),
        ({"names": ["a"]}, "who.text > n.aCaps", ["/edges/0/target: 'aCaps' is an output"]),
    ],
)
def test_a_configuration_that_can_not_be_is_a_fault_of_the_document(
    values: dict[str, Any], edge: str | None, faults: list[str]
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        plan(values, *filter(None, [edge]), catalogue=CATALOGUE)
    found = [f"{fault.pointer}: {fault.message}" for fault in caught.value.faults]
    assert [one[: len(other)] for one, other in zip(found, faults, strict=True)] == faults


def test_each_run_has_an_instance_of_its_own() -> None:
    @node("CountNode", category=CATEGORY)
    @dataclass
    class Count:
        """Counts."""

        step: int = 1
        seen: list[int] = field(default_factory=list)

        def run(self, ctx: NodeContext) -> Annotated[list[int], Port("counted")]:
            self.seen.append(self.step)
            return self.seen

    assert spec(Count).ports["seen"].default == []
    assert [run(spec(Count), step=2) for _ in range(2)] == [{"counted": [2]}] * 2


def test_a_method_may_be_inherited() -> None:
    class Base:
        def __init__(self, text: str = "x") -> None:
            self.text = text

        def run(self) -> Annotated[str, Port("text2")]:
            return self.text + self.tail()

        def tail(self) -> str:
            return "?"

    @node("HeirNode", category=CATEGORY)
    class Heir(Base):
        """Ends otherwise."""

        def tail(self) -> str:
            return "!"

    assert run(spec(Heir), text="a") == {"text2": "a!"}
    assert spec_of(Base) is None


def test_a_class_may_be_asynchronous() -> None:
    @node("LaterNode", category=CATEGORY)
    class Later:
        def __init__(self, names: list[str]) -> None:
            self.names = names

        def ports(self) -> dict[str, Any]:
            return {name: Annotated[int, Port(direction="output")] for name in self.names}

        async def run(self) -> dict[str, Any]:
            return dict.fromkeys(self.names, 1)

    assert run(spec(Later).configured({"names": ["a"]}), names=["a"]) == {"a": 1}


def test_what_a_configured_node_returns_is_checked() -> None:
    @node("LiarNode", category=CATEGORY)
    class Liar:
        def ports(self) -> dict[str, Any]:
            return {"out": Annotated[int, Port(direction="output")]}

        def run(self, returned: Any = None) -> dict[str, Any]:
            return returned

    configured = spec(Liar).configured({})
    for returned, message in [
        ({"out": "text"}, "output 'out': it must be a number"),
        ({"more": 1}, "the node set 'more', which is none of its outputs"),
        (3, "returned a int, where a dict was promised"),
    ]:
        with pytest.raises(NodeError, match=message):
            run(configured, returned=returned)


def wrong_context() -> None:
    @node("N", category=CATEGORY)
    class Wrong:
        def __init__(self, ctx: NodeContext) -> None: ...

        def run(self) -> None: ...


def wrong_parameter() -> None:
    @node("N", category=CATEGORY)
    class Wrong:
        def __init__(self, text) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001

        def run(self) -> None: ...


def wrong_twice() -> None:
    @node("N", category=CATEGORY)
    class Wrong:
        def __init__(self, text: str) -> None: ...

        def run(self, text: str) -> None: ...


def wrong_rest() -> None:
    @node("N", category=CATEGORY)
    class Wrong:
        def run(self, **texts: str) -> None: ...


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (wrong_context, "its constructor takes a NodeContext, which is for run alone"),
        (wrong_parameter, "parameter 'text' has no annotation"),
        (wrong_twice, "two of its ports have the name 'text'"),
        (wrong_rest, "'texts' can't be a port"),
    ],
)
def test_a_class_written_wrongly_says_where_and_what(
    define: Callable[[], None], message: str
) -> None:
    with pytest.raises(NodeDefinitionError, match=message) as caught:
        define()
    assert f"{__file__}:" in caught.value.message
    assert f"{define.__name__}.<locals>.Wrong" in caught.value.message


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"x": complex}, "its port 'x' has the type complex, which no port holds"),
        ({"x": Annotated[int, Port("y")]}, "its port 'x' has another name, 'y'"),
        ({"x": Annotated[int, Port(min=2, max=1)]}, "its port 'x' has min 2 above max 1"),
        ({"text": int}, "two of its ports have the name 'text'"),
        ({"__x": int}, "has the name of a system port"),
        ({"x": int}, "its run takes no"),
    ],
)
def test_ports_that_a_class_can_not_have(described: dict[str, Any], message: str) -> None:
    @node("N", category=CATEGORY)
    class Wrong:
        def ports(self) -> dict[str, Any]:
            return described

        def run(self, text: str = "") -> None: ...

    with pytest.raises(ValueError, match=message):
        spec(Wrong).configured({})
