"""Flows for tests of the engine: node types that end as a script says, and random graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from app.engine import Engine, RunOptions, Wiring
from app.flows import compile_plan
from app.flows.document import read_document
from app.flows.faults import FaultLog
from app.flows.plan import Plan
from app.nodes.spec import Catalogue, NodeContext, NodeSpec
from app.values.ports import Direction, PortConfig, PortType

ANY = PortType.ANY


def _no_run(inputs: Mapping[str, Any], context: NodeContext) -> Mapping[str, Any]:
    raise AssertionError("the engine's tests settle nodes themselves")


def _port(kind: PortType, direction: Direction, **more: Any) -> PortConfig:
    return PortConfig(kind, direction, **more)


IN, OUT, PASS = Direction.INPUT, Direction.OUTPUT, Direction.PASSTHROUGH

#: Ports for everything that the rules speak of.
PORTS = {
    "a": _port(ANY, IN, default=None),
    "b": _port(ANY, IN, default=None),
    "need": _port(ANY, IN, required=True, default=0),
    "parts": _port(PortType.OBJECT, IN, default={}, mutable=True),
    "stream": _port(PortType.STREAM, IN, item=PortConfig(ANY), default=None),
    "list": _port(PortType.ARRAY, IN, default=[], item=PortConfig(ANY), mutable=True),
    "kept": _port(ANY, PASS, default="kept"),
    "out": _port(ANY, OUT),
    "flag": _port(PortType.BOOLEAN, OUT, default=False),
    "items": _port(PortType.STREAM, OUT, item=PortConfig(ANY)),
}

#: TestNode does nothing by itself; HolderNode is a parent that is no group.
CATEGORIES = {"TestNode": "test", "HolderNode": "test", "GroupNode": "group"}

CATALOGUE: Catalogue = {
    kind: NodeSpec(kind, category, PORTS, _no_run) for kind, category in CATEGORIES.items()
} | {
    "EventListenerNodeV2": NodeSpec(
        "EventListenerNodeV2",
        "flow",
        {**PORTS, "eventName": _port(PortType.STRING, IN, default="")},
        _no_run,
    )
}


def node(node_id: str, **more: Any) -> dict[str, Any]:
    """A node of a document."""
    return {"id": node_id, "type": "TestNode", **more}


def group(node_id: str, **more: Any) -> dict[str, Any]:
    """A node that holds others."""
    return node(node_id, type="GroupNode", **more)


def inside(node_id: str, parent: str, **more: Any) -> dict[str, Any]:
    """A node in a group."""
    return node(node_id, metadata={"parentNodeId": parent}, **more)


def listener(node_id: str, event: str, **more: Any) -> dict[str, Any]:
    """A node that listens for an event."""
    return node(node_id, type="EventListenerNodeV2", values={"eventName": event}, **more)


def flow(nodes: Iterable[str | dict[str, Any]], edges: Iterable[str] = ()) -> dict[str, Any]:
    """A document; nodes by id alone where there is no more to say, edges as "a.out > b.a"."""
    listed = [node(each) if isinstance(each, str) else each for each in nodes]
    ends = [edge.split(" > ") for edge in edges]
    return {
        "id": "V2test",
        "metadata": {"name": "test"},
        "nodes": listed,
        "edges": [{"source": source, "target": target} for source, target in ends],
    }


def plan_of(document: dict[str, Any], catalogue: Catalogue = CATALOGUE) -> Plan:
    """The plan of a document that has no fault."""
    faults = FaultLog()
    read = read_document(document, faults)
    assert read is not None, faults.listed()
    return compile_plan(read, catalogue)


def engine_of(
    nodes: Iterable[str | dict[str, Any]],
    edges: Iterable[str] = (),
    options: RunOptions | None = None,
    inputs: Mapping[int, Mapping[str, Any]] | None = None,
    event: str | None = None,
) -> Engine:
    """An engine of a flow that has not begun."""
    plan = plan_of(flow(nodes, edges))
    return Engine(Wiring(plan), options or RunOptions(), inputs, event)


def start_all(engine: Engine) -> list[str]:
    """Start every node that may start now; their ids in order."""
    started = []
    while (start := engine.start_next()) is not None:
        started.append(start.node.id)
    return started


# -- random graphs


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a node does: it fails so often and is tried again, then it completes or fails.

    `sleeps` has it wait for a timer after it has run, before it completes. `flag` is its boolean
    output, which branches feed on; `is_null` makes its other outputs null. `early` are the outputs
    that it gives before its end, in this order: such a node doesn't sleep.
    """

    retries: int = 0
    fails: bool = False
    sleeps: bool = False
    flag: bool = True
    is_null: bool = False
    early: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """A flow, what its nodes do, and the event that drives its run."""

    document: dict[str, Any]
    behaviours: Sequence[Behaviour]
    event: str | None = None
    plan: Plan = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan", plan_of(self.document))


_BEHAVIOURS = st.builds(
    Behaviour,
    retries=st.sampled_from([0, 0, 0, 1, 2]),
    fails=st.sampled_from([False, False, False, True]),
    sleeps=st.sampled_from([False, False, False, True]),
    flag=st.booleans(),
    is_null=st.sampled_from([False, False, False, True]),
    early=st.sampled_from([(), (), (), ("items",), ("out",), ("items", "flag")]),
)

_SOURCES = ["out", "out", "flag", "kept", "items", "__success", "__error", "__errorMessage"]
_BOOLEANS = ["flag", "flag", "__success", "__error"]
_TARGETS = ["a", "a", "b", "need", "kept", "parts.x", "parts.y.z", "list[1]", "__execute"]
_TARGETS += ["stream", "stream"]


#: What nodes do that mostly send: often they are tried again, seldom they fail for good.
_SENDING = st.builds(
    Behaviour,
    retries=st.sampled_from([0, 0, 1, 2]),
    fails=st.sampled_from([False] * 5 + [True]),
    flag=st.sampled_from([True, True, True, False]),
    early=st.sampled_from([("items",), ("items",), ("items", "out"), ("flag",), ()]),
)


@st.composite
def streaming_graphs(draw: st.DrawFn) -> Graph:
    """Random flows in which most nodes send or read streams, or give other outputs early."""
    size = draw(st.integers(2, 7))
    order = draw(st.permutations(range(size)))
    edges: dict[str, None] = {}
    for _ in range(draw(st.integers(1, 2 * size))):
        first = draw(st.integers(0, size - 2))
        second = draw(st.integers(first + 1, size - 1))
        ends = draw(st.sampled_from(_STREAMING_EDGES))
        edges[ends.format(order[first], order[second])] = None
    behaviours = draw(st.lists(_SENDING, min_size=size, max_size=size))
    return Graph(flow([f"n{number}" for number in range(size)], edges), behaviours)


_STREAMING_EDGES = ["n{}.items > n{}.stream"] * 4 + [
    "n{}.items > n{}.a",
    "n{}.out > n{}.a",
    "n{}.out > n{}.need",
    "n{}.flag > n{}.__execute",
    "n{}.__error > n{}.b",
]


@st.composite
def graphs(draw: st.DrawFn, *, several_edges_per_port: bool = True) -> Graph:
    """Random flows whose document order is not the order in which they run.

    With several edges per port there are cycles, too, each with an edge from outside.
    """
    size = draw(st.integers(2, 9))
    order = draw(st.permutations(range(size)))
    edges: dict[tuple[str, str], None] = {}
    fed: set[str] = set()
    for _ in range(draw(st.integers(0, 2 * size))):
        source, target = _edge(draw, order)
        if several_edges_per_port or target not in fed:
            edges[source, target] = None
            fed.add(target)
    if several_edges_per_port and fed:
        # Into a port that is fed from before: a way back, or another way in.
        for target in draw(st.lists(st.sampled_from(sorted(fed)), max_size=2)):
            edges[_source(draw, draw(st.sampled_from(order)), target), target] = None
    listed = draw(st.permutations(list(edges)))
    behaviours = draw(st.lists(_BEHAVIOURS, min_size=size, max_size=size))
    nodes = [_node(draw, number, order) for number in range(size)]
    document = flow(nodes, [f"{source} > {target}" for source, target in listed])
    return Graph(document, behaviours, draw(st.sampled_from([None, None, "x", "y"])))


def _edge(draw: st.DrawFn, order: Sequence[int]) -> tuple[str, str]:
    """An edge from any node to one behind it."""
    first = draw(st.integers(0, len(order) - 2))
    second = draw(st.integers(first + 1, len(order) - 1))
    target = f"n{order[second]}.{draw(st.sampled_from(_TARGETS))}"
    return _source(draw, order[first], target), target


def _source(draw: st.DrawFn, number: int, target: str) -> str:
    ports = _BOOLEANS if target.endswith("__execute") else _SOURCES
    if target.endswith(".stream"):
        ports = ["items"]
    return f"n{number}.{draw(st.sampled_from(ports))}"


_STORED = [{}, {}, {}, {"parts": {"x": 1, "old": 2}}, {"__execute": False}, {"a": "stored"}]


def _node(draw: st.DrawFn, number: int, order: Sequence[int]) -> dict[str, Any]:
    more: dict[str, Any] = {"values": draw(st.sampled_from(_STORED))}
    kind = draw(st.sampled_from(_KINDS))
    if kind == "EventListenerNodeV2":
        more["values"] = {**more["values"], "eventName": draw(st.sampled_from(["x", "x", "y"]))}
    behind = order[order.index(number) + 1 :]
    if behind and draw(st.integers(0, 9)) > 6:
        # A node behind it: so no group waits for what waits for it, but over a way back. Where
        # that is no group, this node is a template, completed from the beginning.
        more["metadata"] = {"parentNodeId": f"n{draw(st.sampled_from(behind))}"}
    return node(f"n{number}", type=kind, **more)


_KINDS = ["TestNode"] * 6 + ["GroupNode"] * 3 + ["EventListenerNodeV2"]
