"""Whether a document makes a flow that can run (docs/flows.md, The document): faults, warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.flows.document import FlowDocument, Form, NodeEntry
from app.flows.faults import FaultLog, below
from app.flows.reach import (
    UNKNOWN,
    Feed,
    Wires,
    dead_cycles,
    never_running,
    rings,
    start_order,
)
from app.flows.shaping import Shaper
from app.flows.storing import Storing, locate
from app.flows.wiring import EdgeDraft, NodeDraft, Place, Wiring
from app.nodes.queues import QUEUE_RULE, names_a_queue
from app.nodes.spec import Catalogue, NodeSpec
from app.values.bounds import Bounds, PatternTime
from app.values.ports import ERROR, ERROR_MESSAGE, SYSTEM_PORTS

#: Seconds that all the patterns in one document may take together.
PATTERN_TIME_S = 2.0

_ERROR_PORTS = frozenset({ERROR, ERROR_MESSAGE})


@dataclass(frozen=True, slots=True)
class Draft:
    """What a document comes to: a plan, if no fault was noted."""

    document: FlowDocument
    nodes: Sequence[NodeDraft]
    edges: Sequence[EdgeDraft]
    outputs: Mapping[str, Place] | None
    parents: Mapping[int, int]
    templates: Sequence[bool]


def validate(
    document: FlowDocument, catalogue: Catalogue, faults: FaultLog, warnings: FaultLog
) -> Draft:
    """Check everything that a save is refused for or warns of, in linear time.

    Nothing is raised: what is wrong is in `faults` and `warnings` afterwards.
    """
    nodes = _draft_nodes(document, catalogue, faults, warnings)
    wiring = Wiring(nodes, faults)
    edges = wiring.edges(document.edges)
    parents = _parents(nodes, faults)
    draft = Draft(
        document=document,
        nodes=nodes,
        edges=edges,
        outputs=_outputs(document, wiring),
        parents=parents,
        templates=[
            number in parents and not nodes[parents[number]].is_group
            for number in range(len(nodes))
        ],
    )
    _check_reach(draft, faults, warnings)
    _warn_of_loose_nodes(draft, warnings)
    return draft


def _draft_nodes(
    document: FlowDocument, catalogue: Catalogue, faults: FaultLog, warnings: FaultLog
) -> list[NodeDraft]:
    pattern_time = PatternTime(PATTERN_TIME_S)
    shaper = Shaper(document.form, faults, warnings, pattern_time)
    storing = Storing(document.form, faults, warnings, Bounds(pattern_time))
    drafts: list[NodeDraft] = []
    seen: dict[str, int] = {}
    for entry in document.nodes:
        if entry.id and seen.setdefault(entry.id, entry.index) != entry.index:
            message = f"node {seen[entry.id]} has the id '{entry.id}', too"
            faults.add(below(entry.pointer, "id"), message)
        spec = catalogue.get(entry.type)
        _check_queue(entry, faults)
        if spec is None:
            # Without a type there is a fault already.
            if entry.type:
                faults.add(below(entry.pointer, "type"), f"unknown node type '{entry.type}'")
            drafts.append(NodeDraft(entry, None, {}, {}))
            continue
        if spec.deprecated:
            warnings.add(below(entry.pointer, "type"), f"'{entry.type}' is deprecated")
        if spec.more_ports is not None:
            spec = _configured(spec, entry, document.form, faults)
            if spec is None:
                drafts.append(NodeDraft(entry, None, {}, {}))
                continue
        ports = shaper.ports(entry, spec)
        values = storing.values(entry, ports)
        enforced = shaper.enforced(ports)
        drafts.append(NodeDraft(entry, shaper.enforced_spec(spec), enforced, values))
    return drafts


def _configured(spec: NodeSpec, entry: NodeEntry, form: Form, faults: FaultLog) -> NodeSpec | None:
    """The type with the ports that follow from what is stored; None, and a fault, if none do."""
    ports = {**SYSTEM_PORTS, **spec.ports}
    known = {name: value for name, value in entry.values.items() if locate(ports, name)}
    # All values are looked at once all ports are known.
    found = FaultLog()
    storing = Storing(form, found, FaultLog(), Bounds(PatternTime()))
    try:
        return spec.configured(storing.values(replace(entry, values=known), ports))
    except ValueError as error:
        if not found:
            found.add(below(entry.pointer, "values"), f"give {entry.type} no ports: {error}")
        faults.extend(found.listed())
        return None


def _check_queue(entry: NodeEntry, faults: FaultLog) -> None:
    if entry.queue is not None and not names_a_queue(entry.queue):
        faults.add(below(entry.pointer, "queue"), QUEUE_RULE)


def _outputs(document: FlowDocument, wiring: Wiring) -> Mapping[str, Place] | None:
    if document.outputs is None:
        return None
    places = {name: wiring.output(end) for name, end in document.outputs.items()}
    return {name: place for name, place in places.items() if place is not None}


def _parents(nodes: Sequence[NodeDraft], faults: FaultLog) -> dict[int, int]:
    """The parent of each node that has one; a parent that doesn't exist is no parent."""
    numbers = {node.entry.id: number for number, node in enumerate(nodes)}
    parents: dict[int, int] = {}
    for number, node in enumerate(nodes):
        parent_id = node.entry.parent_id
        if parent_id is None or parent_id not in numbers:
            continue
        parents[number] = numbers[parent_id]
    for ring in rings(parents):
        pointer = below(nodes[ring[0]].entry.pointer, "metadata", "parentNodeId")
        faults.add(pointer, f"is inside itself: {_shown(ring, nodes)}")
    return parents


def _wires(draft: Draft) -> Wires:
    ports: list[dict[tuple[str | int, ...], list[Feed]]] = [{} for _ in draft.nodes]
    for edge in draft.edges:
        feeds = ports[edge.target.node].setdefault(edge.target.path, [])
        if edge.source is None:
            feeds.append(Feed(UNKNOWN))
        else:
            feeds.append(Feed(edge.source.node, edge.source.path[0] in _ERROR_PORTS))
    return [list(fed.values()) for fed in ports]


def _with_members(wires: Wires, draft: Draft) -> Wires:
    """The same, and each group waits for each of its children, too."""
    waits = [list(ports) for ports in wires]
    # That these wait for themselves is said where their parents are read.
    inside_themselves = {node for ring in rings(draft.parents) for node in ring}
    for child, parent in draft.parents.items():
        if draft.nodes[parent].is_group and child not in inside_themselves:
            waits[parent].append([Feed(child)])
    return waits


def _check_reach(draft: Draft, faults: FaultLog, warnings: FaultLog) -> None:
    wires = _wires(draft)
    waits = _with_members(wires, draft)
    order = start_order(waits, draft.templates)
    cycles = dead_cycles(waits, order)
    closing = _edge_pointers(draft) if cycles else {}
    for cycle in cycles:
        shown = _shown(cycle, draft.nodes)
        message = f"nothing from outside can set this cycle going: {shown}"
        faults.add(closing[cycle[-1], cycle[0]], message)
    for node in sorted(never_running(wires, draft.templates, order)):
        message = "can never run: what it waits for can't all come, as a node completes or fails"
        warnings.add(draft.nodes[node].entry.pointer, message)


def _edge_pointers(draft: Draft) -> dict[tuple[int, int], str]:
    """Where it stands that a node waits for another: the last edge, or whose child it is."""
    members = {
        (child, parent): below(draft.nodes[child].entry.pointer, "metadata", "parentNodeId")
        for child, parent in draft.parents.items()
    }
    edges = {
        (edge.source.node, edge.target.node): edge.entry.pointer
        for edge in draft.edges
        if edge.source is not None
    }
    return members | edges


def _shown(cycle: Sequence[int], nodes: Sequence[NodeDraft]) -> str:
    return " → ".join(nodes[node].entry.id for node in (*cycle, cycle[0]))


def _warn_of_loose_nodes(draft: Draft, warnings: FaultLog) -> None:
    groups = {parent for parent in draft.parents.values() if draft.nodes[parent].is_group}
    connected = groups.union(draft.parents)
    for edge in draft.edges:
        connected.add(edge.target.node)
        if edge.source is not None:
            connected.add(edge.source.node)
    for number, node in enumerate(draft.nodes):
        if number not in connected:
            warnings.add(node.entry.pointer, f"node '{node.entry.id}' is not connected to anything")
