"""From a document to the plan that the engine walks, and the inputs laid over it for one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.errors import Fault, ValidationFailed
from app.flows.document import NO_RETRY, FlowDocument, RetryEntry, read_document
from app.flows.faults import FaultLog
from app.flows.plan import InPort, Plan, PlanEdge, PlanNode
from app.flows.validation import Draft, validate
from app.flows.wiring import EdgeDraft, plan_edges
from app.nodes.queues import DEFAULT_QUEUE
from app.nodes.spec import Catalogue, NodeSpec, RetryPolicy
from app.values.paths import Path
from app.values.ports import ERROR, ERROR_MESSAGE, PortConfig, PortType, Value
from app.values.secrets import holds_secrets

#: Types of nodes that run for one event, named by their `eventName`.
LISTENER_TYPES = frozenset({"EventListenerNode", "EventListenerNodeV2"})

#: Types of nodes that give what other flows gave: sealed texts among it, though no port of their
#: flow may be for any.
CALLER_TYPES = frozenset({"ForEachNode", "RunFlowNode"})

_ERROR_PORTS = frozenset({ERROR, ERROR_MESSAGE})


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that can run: its models, its plan, and what is odd about it."""

    document: FlowDocument
    plan: Plan
    warnings: tuple[Fault, ...]


def prepare(raw: Value, catalogue: Catalogue) -> Prepared:
    """Read, check and compile a document as it came in.

    Raises ValidationFailed with every fault, each with its JSON pointer; nothing else, whatever
    `raw` is.
    """
    faults = FaultLog()
    document = read_document(raw, faults)
    if document is None:
        raise ValidationFailed(faults.listed())
    return _prepared(document, catalogue, faults)


def compile_plan(document: FlowDocument, catalogue: Catalogue) -> Plan:
    """Compile a document; raises ValidationFailed if it can't run with this catalogue."""
    return _prepared(document, catalogue, FaultLog()).plan


def _prepared(document: FlowDocument, catalogue: Catalogue, faults: FaultLog) -> Prepared:
    warnings = FaultLog()
    draft = validate(document, catalogue, faults, warnings)
    edges = plan_edges(draft.edges, faults)
    if faults:
        raise ValidationFailed(faults.listed())
    return Prepared(document, _plan(draft, edges), tuple(warnings.listed()))


def _plan(draft: Draft, edges: tuple[PlanEdge, ...]) -> Plan:
    nodes = _plan_nodes(draft, edges)
    outputs = draft.outputs
    return Plan(
        flow_id=draft.document.id or "",
        metadata=draft.document.metadata,
        nodes=nodes,
        edges=edges,
        index_of={node.id: node.index for node in nodes},
        outputs=None
        if outputs is None
        else {name: (place.node, place.path) for name, place in outputs.items()},
        holds_secrets=any(node.holds_secrets or node.type in CALLER_TYPES for node in nodes),
    )


def _plan_nodes(draft: Draft, edges: Sequence[PlanEdge]) -> tuple[PlanNode, ...]:
    in_ports = _in_ports(len(draft.nodes), draft.edges)
    out_edges: list[list[int]] = [[] for _ in draft.nodes]
    failures: set[int] = set()
    for edge in edges:
        out_edges[edge.source].append(edge.index)
        if edge.source_root in _ERROR_PORTS:
            failures.add(edge.source)
    nodes: list[PlanNode] = []
    # By identity: most nodes of a type share their ports, which the draft keeps.
    secret: dict[int, bool] = {}
    for index, node in enumerate(draft.nodes):
        if id(node.ports) not in secret:
            secret[id(node.ports)] = any(map(holds_secrets, node.ports.values()))
        if node.spec is None:
            # A fault has been noted, and no plan is made of a document with a fault.
            continue
        entry = node.entry
        nodes.append(
            PlanNode(
                index=index,
                id=entry.id,
                type=entry.type,
                spec=node.spec,
                ports=node.ports,
                values=node.values,
                in_ports=in_ports[index],
                out_edges=tuple(out_edges[index]),
                retry=_retry(entry.retry, node.spec),
                timeout_ms=node.spec.timeout_ms if entry.timeout_ms is None else entry.timeout_ms,
                queue=entry.queue or node.spec.queue or DEFAULT_QUEUE,
                handles_error=index in failures,
                is_template=draft.templates[index],
                parent=draft.parents.get(index),
                is_group=node.is_group,
                event=listened_event(entry.type, node.values),
                streams=_streams(node.spec),
                holds_secrets=secret[id(node.ports)],
            )
        )
    return tuple(nodes)


def listened_event(node_type: str, values: Mapping[str, Value]) -> str | None:
    """The event that a listener listens for, as the document stores it; None for other nodes."""
    if node_type not in LISTENER_TYPES:
        return None
    name = values.get("eventName")
    return name if isinstance(name, str) else ""


def _streams(spec: NodeSpec) -> tuple[str, ...]:
    return tuple(
        port
        for port, config in spec.ports.items()
        if config.type is PortType.STREAM and config.gives_output
    )


def _in_ports(nodes: int, edges: Sequence[EdgeDraft]) -> list[tuple[InPort, ...]]:
    fed: list[dict[Path, list[int]]] = [{} for _ in range(nodes)]
    configs: dict[tuple[int, Path], PortConfig] = {}
    for index, edge in enumerate(edges):
        target = edge.target
        fed[target.node].setdefault(target.path, []).append(index)
        if target.config is not None:
            configs[target.node, target.path] = target.config
    return [
        tuple(InPort(path, configs[node, path], tuple(numbers)) for path, numbers in ports.items())
        for node, ports in enumerate(fed)
    ]


def _retry(entry: RetryEntry, spec: NodeSpec) -> RetryPolicy:
    if entry is NO_RETRY:
        return spec.retry
    said: dict[str, Any] = {
        "max_attempts": entry.max_attempts,
        "backoff_ms": entry.backoff_ms,
        "backoff_factor": entry.backoff_factor,
        "max_backoff_ms": entry.max_backoff_ms,
    }
    changes = {name: value for name, value in said.items() if value is not None}
    return replace(spec.retry, **changes)
