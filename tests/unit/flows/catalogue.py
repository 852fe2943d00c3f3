"""A handful of node types for tests of documents; none of them can run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.nodes.spec import Catalogue, NodeContext, NodeSpec, RetryPolicy
from app.values.ports import Direction, PortConfig, PortType


def _no_run(inputs: Mapping[str, Any], context: NodeContext) -> Mapping[str, Any]:
    raise AssertionError("documents are not run here")


def spec(node_type: str, category: str = "test", **settings: Any) -> NodeSpec:
    """A node type; keywords are the fields of NodeSpec."""
    return NodeSpec(node_type, category, settings.pop("ports"), _no_run, **settings)


IN, OUT, PASS = Direction.INPUT, Direction.OUTPUT, Direction.PASSTHROUGH
TEXT = PortConfig(PortType.STRING, PASS, default="")
NUMBER = PortConfig(PortType.NUMBER, PASS, default=0)
FLAG = PortConfig(PortType.BOOLEAN, PASS, default=False)
OBJECT = PortConfig(PortType.OBJECT, PASS, default={}, mutable=True)
ARRAY = PortConfig(PortType.ARRAY, PASS, default=[], item=PortConfig(PortType.ANY), mutable=True)

_SPECS = (
    spec("TextNode", ports={"text": TEXT}),
    spec("GroupNode", "group", ports={}),
    spec("NumberNode", ports={"num": NUMBER}),
    spec("BooleanNode", ports={"flag": FLAG}),
    spec("ObjectNode", ports={"object": OBJECT}),
    spec("ArrayNode", ports={"itemSchema": PortConfig(PortType.ANY, PASS), "array": ARRAY}),
    spec(
        "MathNode",
        ports={
            "a": NUMBER,
            "b": NUMBER,
            "operation": PortConfig(PortType.ENUM, PASS, options=("add", "divide")),
            "result": PortConfig(PortType.NUMBER, OUT, default=0),
        },
        retry=RetryPolicy(max_attempts=2, backoff_ms=50),
        timeout_ms=1_000,
    ),
    spec(
        "TemplateNode",
        ports={
            "template": PortConfig(PortType.STRING, IN, default="", min_length=0, max_length=20),
            "variables": PortConfig(PortType.OBJECT, IN, default={}, mutable=True),
            "renderedText": PortConfig(PortType.STRING, OUT, default=""),
        },
    ),
    spec(
        "RegExpNode",
        ports={
            "sourceText": PortConfig(PortType.STRING, IN, required=True, default=""),
            "flags": PortConfig(
                PortType.OBJECT,
                IN,
                default={"global": False},
                properties={"global": PortConfig(PortType.BOOLEAN, IN)},
            ),
            "result": PortConfig(PortType.STRING, OUT),
        },
    ),
    spec("AnyNode", ports={"value": PortConfig(PortType.ANY, PASS)}),
    spec(
        "DecimalsNode",
        ports={"places": PortConfig(PortType.NUMBER, PASS, minimum=-1, integer=True, default=-1)},
    ),
    spec("OldNode", ports={"text": TEXT}, deprecated=True),
    spec("OpenNode", ports={"out": PortConfig(PortType.ANY, OUT)}, extra_ports=True),
)

CATALOGUE: Catalogue = {each.type: each for each in _SPECS}


def flow(*nodes: Any, edges: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """A document in our own form; an edge may be written "a.x -> b.y"."""
    written = [_edge(edge) for edge in edges or []]
    return {"metadata": {"name": "test"}, "nodes": list(nodes), "edges": written, **more}


def _edge(edge: Any) -> Any:
    if not isinstance(edge, str):
        return edge
    source, target = edge.split(" -> ")
    return {"source": source, "target": target}


def node(node_id: str, node_type: str = "TextNode", **more: Any) -> dict[str, Any]:
    """A node in our own form."""
    return {"id": node_id, "type": node_type, **more}


def exported(node_id: str, node_type: str, ports: list[Any], **more: Any) -> dict[str, Any]:
    """A node as ChainGraph v2 exports it; `ports` are (id, type, value[, further config])."""
    return {
        "id": node_id,
        "type": node_type,
        "metadata": {"type": node_type},
        "status": "initialized",
        "ports": [_exported_port(*port) for port in ports],
        "systemPorts": {"execute": {"id": "__execute", "value": True}},
        "connections": {},
        "schemaVersion": "v2",
        **more,
    }


def _exported_port(port_id: str, port_type: str, value: Any, more: Any = None) -> dict[str, Any]:
    return {"config": {"id": port_id, "type": port_type, **(more or {})}, "value": value}
