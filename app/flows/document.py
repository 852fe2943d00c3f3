"""The flow document: what was written, read into models, before any node type is looked at.

Two forms: our own, and an export of ChainGraph (v2), which is taken as it is; one of v1 is made
into v2 first. What is stored and given back is that JSON, never these models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from app.errors import ValidationFailed
from app.flows.faults import FaultLog, below
from app.flows.reading import MAX_ID, Fields
from app.flows.v1 import is_v1, migrate
from app.values.checks import FaultKind, value_faults
from app.values.jsonable import kind_of
from app.values.ports import MISSING, Missing, PortConfig, PortType, Value

#: Characters of a flow's name.
MAX_NAME = 1_000

#: Bounds of docs/flows.md, rules 7 and 8.
MAX_ATTEMPTS = 100
MAX_BACKOFF_FACTOR = 10
DAY_MS = 86_400_000

#: The step of a URL where flows are checked.
CHECK = "validate"

_FLOW_FIELDS = frozenset({"id", "metadata", "nodes", "edges"})
_NODE_FIELDS = frozenset(
    {"id", "type", "metadata", "values", "ports", "retry", "timeoutMs", "queue"}
)
_LONG_EDGE = ("sourceNodeId", "sourcePortId", "targetNodeId", "targetPortId")
_SHORT_EDGE = ("source", "target")
_EDGE_FIELDS = frozenset({"id", "metadata", *_LONG_EDGE, *_SHORT_EDGE})
_RETRY_FIELDS = frozenset({"maxAttempts", "backoffMs", "backoffFactor", "maxBackoffMs"})


class Form(Enum):
    """Which of the two forms a document has."""

    NATIVE = "native"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class PortEntry:
    """A port as a document describes it: its raw config (None: none), its stored value."""

    id: str
    pointer: str
    config: Value
    value: Value | Missing = MISSING


@dataclass(frozen=True, slots=True)
class RetryEntry:
    """What a document says of retrying; None leaves the node type's own setting."""

    max_attempts: int | None = None
    backoff_ms: int | None = None
    backoff_factor: float | None = None
    max_backoff_ms: int | None = None


#: The document says nothing: everything stays as the node type has it.
NO_RETRY = RetryEntry()


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node as it was written; `values` by port id or path, `index` its place in `nodes`."""

    index: int
    id: str
    type: str
    metadata: Mapping[str, Value] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    ports: tuple[PortEntry, ...] = ()
    retry: RetryEntry = NO_RETRY
    timeout_ms: int | None = None
    queue: str | None = None
    parent_id: str | None = None

    @property
    def pointer(self) -> str:
        """Where in the document it stands."""
        return f"/nodes/{self.index}"


@dataclass(frozen=True, slots=True)
class EndEntry:
    """One end of an edge; with the short form `node` is None and `port` the whole text.

    `holder` points to the object that names it, in the fields `node_key` and `port_key`.
    """

    node: str | None
    port: str
    holder: str
    node_key: str
    port_key: str

    @property
    def node_pointer(self) -> str:
        """Where the node is named."""
        return below(self.holder, self.node_key)

    @property
    def port_pointer(self) -> str:
        """Where the port is named."""
        return below(self.holder, self.port_key)


@dataclass(frozen=True, slots=True)
class EdgeEntry:
    """An edge as it was written; `index` is its place in `edges`."""

    index: int
    id: str | None
    source: EndEntry
    target: EndEntry

    @property
    def pointer(self) -> str:
        """Where in the document it stands."""
        return f"/edges/{self.index}"


@dataclass(frozen=True, slots=True)
class FlowDocument:
    """A document whose shape is right; `outputs` are `metadata.outputs`, None without any."""

    form: Form
    id: str | None
    name: str
    metadata: Mapping[str, Value]
    nodes: tuple[NodeEntry, ...]
    edges: tuple[EdgeEntry, ...]
    outputs: Mapping[str, EndEntry] | None
    raw: Mapping[str, Value]


def parse_document(raw: Value) -> FlowDocument:
    """Read a flow document; raises ValidationFailed with every fault of its shape.

    Whether its nodes and edges make sense is for `app.flows.validation` to say.
    """
    log = FaultLog()
    document = read_document(raw, log)
    if document is None or log:
        raise ValidationFailed(log.listed())
    return document


def read_document(raw: Value, log: FaultLog) -> FlowDocument | None:
    """Read what can be read and note every fault; None where there is nothing to go on with."""
    _refuse_what_json_cannot_hold(raw, log)
    if not isinstance(raw, dict):
        log.add("", f"a flow must be an object, not {kind_of(raw)}")
        return None
    return _read(migrate(raw) if is_v1(raw) else raw, log)


def _read(raw: Mapping[str, Value], log: FaultLog) -> FlowDocument:
    flow = Fields(raw, "", log)
    nodes, edges = flow.array("nodes"), flow.array("edges")
    form = _form(raw, nodes)
    if form is Form.NATIVE:
        flow.refuse_unknown(_FLOW_FIELDS)
    flow.missing("metadata")
    metadata = Fields(flow.object("metadata"), "/metadata", log)
    return FlowDocument(
        form=form,
        id=_flow_id(flow),
        name=(metadata.name("name", MAX_NAME) or "") if "metadata" in raw else "",
        metadata=metadata.raw,
        nodes=_nodes(nodes, form, log),
        edges=_edges(edges, form, log),
        outputs=_outputs(metadata),
        raw=raw,
    )


def _refuse_what_json_cannot_hold(raw: Value, log: FaultLog) -> None:
    for fault in value_faults(PortConfig(PortType.ANY), raw):
        if fault.kind is FaultKind.TYPE:
            log.add(below("", *fault.path), fault.message)


def _form(raw: Mapping[str, Value], nodes: list[Value]) -> Form:
    metadata = raw.get("metadata")
    if isinstance(metadata, dict) and metadata.get("schemaVersion") == "v2":
        return Form.EXPORT
    exported = any(isinstance(node, dict) and _is_exported(node) for node in nodes)
    return Form.EXPORT if exported else Form.NATIVE


def _is_exported(node: Mapping[str, Value]) -> bool:
    signs = ("systemPorts", "connections", "schemaVersion")
    return isinstance(node.get("ports"), list) or any(sign in node for sign in signs)


def _flow_id(flow: Fields) -> str | None:
    flow_id = flow.optional_identifier("id", MAX_ID)
    # It is a step of URLs, where a slash, a dot alone and control characters don't survive.
    if flow_id is not None and (
        flow_id in (".", "..") or "/" in flow_id or not flow_id.isprintable()
    ):
        flow.fault("id", "must not hold '/' or characters that can't be seen")
        return None
    if flow_id == CHECK:
        flow.fault("id", f"must not be '{CHECK}': that is where flows are checked")
        return None
    return flow_id


def _nodes(raw_nodes: list[Value], form: Form, log: FaultLog) -> tuple[NodeEntry, ...]:
    nodes: list[NodeEntry] = []
    for index, raw in enumerate(raw_nodes):
        if isinstance(raw, dict):
            nodes.append(_node(index, Fields(raw, f"/nodes/{index}", log), form))
        else:
            log.add(f"/nodes/{index}", f"a node must be an object, not {kind_of(raw)}")
    return tuple(nodes)


def _node(index: int, node: Fields, form: Form) -> NodeEntry:
    if form is Form.NATIVE:
        node.refuse_unknown(_NODE_FIELDS)
    metadata = node.object("metadata")
    return NodeEntry(
        index=index,
        id=node.identifier("id", MAX_ID) or "",
        type=node.identifier("type", MAX_ID) or "",
        metadata=metadata,
        values=node.object("values"),
        ports=_exported_ports(node) if form is Form.EXPORT else _native_ports(node),
        retry=_retry(node),
        timeout_ms=node.integer("timeoutMs", 1, DAY_MS),
        queue=node.optional_identifier("queue", MAX_ID),
        parent_id=_parent_id(node, metadata),
    )


def _parent_id(node: Fields, metadata: Mapping[str, Value]) -> str | None:
    if metadata.get("parentNodeId") is None:
        return None
    return Fields(metadata, node.at("metadata"), node.log).name("parentNodeId", MAX_ID) or None


def _retry(node: Fields) -> RetryEntry:
    settings = node.object("retry")
    if not settings:
        return NO_RETRY
    retry = Fields(settings, node.at("retry"), node.log)
    retry.refuse_unknown(_RETRY_FIELDS)
    return RetryEntry(
        max_attempts=retry.integer("maxAttempts", 1, MAX_ATTEMPTS),
        backoff_ms=retry.integer("backoffMs", 0, DAY_MS),
        backoff_factor=retry.number("backoffFactor", 1, MAX_BACKOFF_FACTOR),
        max_backoff_ms=retry.integer("maxBackoffMs", 0, DAY_MS),
    )


def _native_ports(node: Fields) -> tuple[PortEntry, ...]:
    return tuple(
        PortEntry(port_id, node.at("ports", port_id), config)
        for port_id, config in node.object("ports").items()
    )


def _exported_ports(node: Fields) -> tuple[PortEntry, ...]:
    listed = node.array("ports") if "ports" in node.raw else []
    ports = [
        _exported_port(Fields(raw, node.at("ports", place), node.log))
        for place, raw in enumerate(listed)
        if isinstance(raw, dict)
    ]
    for key, raw in node.object("systemPorts").items():
        if isinstance(raw, dict) and isinstance(raw.get("id"), str) and "value" in raw:
            pointer = node.at("systemPorts", key)
            ports.append(PortEntry(raw["id"], pointer, None, raw["value"]))
    return tuple(port for port in ports if port is not None)


def _exported_port(port: Fields) -> PortEntry | None:
    config = port.object("config")
    port_id = config.get("id", config.get("key"))
    if not isinstance(port_id, str):
        port.fault("config", "must have an id that is a string")
        return None
    return PortEntry(port_id, port.pointer, config, port.raw.get("value", MISSING))


def _edges(raw_edges: list[Value], form: Form, log: FaultLog) -> tuple[EdgeEntry, ...]:
    edges: list[EdgeEntry] = []
    for index, raw in enumerate(raw_edges):
        if not isinstance(raw, dict):
            log.add(f"/edges/{index}", f"an edge must be an object, not {kind_of(raw)}")
            continue
        edge = Fields(raw, f"/edges/{index}", log)
        if form is Form.NATIVE:
            edge.refuse_unknown(_EDGE_FIELDS)
            edge.object("metadata")
        ends = _short_ends(edge) if _is_short(raw) else _long_ends(edge)
        edge_id = edge.optional_identifier("id", MAX_ID)
        if ends is not None:
            edges.append(EdgeEntry(index, edge_id, *ends))
    return tuple(edges)


def _is_short(raw: Mapping[str, Value]) -> bool:
    return any(key in raw for key in _SHORT_EDGE) and not any(key in raw for key in _LONG_EDGE)


def _short_ends(edge: Fields) -> tuple[EndEntry, EndEntry] | None:
    ends = [short_end(edge, key) for key in _SHORT_EDGE]
    source, target = ends
    return None if source is None or target is None else (source, target)


def short_end(fields: Fields, key: str) -> EndEntry | None:
    """Read `node.port`; which of its dots ends the node's id is known once all ids are."""
    text = fields.identifier(key, 2 * MAX_ID)
    if text is None:
        return None
    return EndEntry(None, text, fields.pointer, key, key)


def _long_ends(edge: Fields) -> tuple[EndEntry, EndEntry] | None:
    for key in _SHORT_EDGE:
        if key in edge.raw:
            edge.fault(key, f"says again what {key}NodeId and {key}PortId say")
    names = [edge.identifier(key, MAX_ID) for key in _LONG_EDGE]
    source_node, source_port, target_node, target_port = names
    if source_node is None or source_port is None or target_node is None or target_port is None:
        return None
    return (
        EndEntry(source_node, source_port, edge.pointer, *_LONG_EDGE[:2]),
        EndEntry(target_node, target_port, edge.pointer, *_LONG_EDGE[2:]),
    )


def _outputs(metadata: Fields) -> Mapping[str, EndEntry] | None:
    if metadata.raw.get("outputs") is None:
        return None
    outputs = Fields(metadata.object("outputs"), metadata.at("outputs"), metadata.log)
    ends = {name: short_end(outputs, name) for name in outputs.raw}
    return {name: end for name, end in ends.items() if end is not None}
