"""The edges of a document, from texts to places: which port of which node, and may it be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from app.flows.document import EdgeEntry, EndEntry, NodeEntry
from app.flows.faults import FaultLog, below
from app.flows.plan import PlanEdge
from app.flows.reading import MAX_ID
from app.flows.shaping import Ports
from app.flows.storing import locate
from app.nodes.spec import NodeSpec
from app.values.bounds import shortened
from app.values.compatibility import Comparison
from app.values.paths import Path, format_path
from app.values.ports import PortConfig, PortType, Value

#: The category whose nodes hold others that run (docs/flows.md, rule 10).
GROUP_CATEGORY = "group"


@dataclass(frozen=True, slots=True)
class NodeDraft:
    """A node on its way into a plan; without a `spec` its type is unknown, and so its ports."""

    entry: NodeEntry
    spec: NodeSpec | None
    ports: Ports
    values: Mapping[str, Value]

    @property
    def is_group(self) -> bool:
        """Whether it holds nodes that run."""
        return self.spec is not None and self.spec.category == GROUP_CATEGORY


@dataclass(frozen=True, slots=True)
class Place:
    """A port, or a place inside one, of a node; no `config` where the node's type is unknown."""

    node: int
    path: Path
    config: PortConfig | None
    root: PortConfig | None


@dataclass(frozen=True, slots=True)
class EdgeDraft:
    """An edge as far as it leads anywhere: without a `source` that end is at fault."""

    entry: EdgeEntry
    source: Place | None
    target: Place


class Wiring:
    """Finds the places that edges name, and notes what is wrong with them."""

    def __init__(self, nodes: Sequence[NodeDraft], faults: FaultLog) -> None:
        self._nodes = nodes
        self._faults = faults
        self._index: dict[str, int] = {}
        self._comparison = Comparison()
        for number, node in enumerate(nodes):
            self._index.setdefault(node.entry.id, number)

    def edges(self, entries: Sequence[EdgeEntry]) -> list[EdgeDraft]:
        """The edges whose target is known, in document order."""
        drafts: list[EdgeDraft] = []
        seen: dict[tuple[int, Path, int, Path], int] = {}
        for entry in entries:
            source, target = self.place(entry.source), self.place(entry.target)
            if source is not None and target is not None:
                self._check(entry, source, target)
                ends = (source.node, source.path, target.node, target.path)
                first = seen.setdefault(ends, entry.index)
                if first != entry.index:
                    self._faults.add(entry.pointer, f"is the same edge as /edges/{first}")
            if target is not None:
                drafts.append(EdgeDraft(entry, source, target))
        return drafts

    def output(self, end: EndEntry) -> Place | None:
        """A place that hands out a value: what a flow's own outputs may name."""
        place = self.place(end)
        if place is not None and place.root is not None and not place.root.gives_output:
            self._faults.add(end.port_pointer, f"'{format_path(place.path)}' is an input")
        return place

    def place(self, end: EndEntry) -> Place | None:
        """The place that one end names; None, and a fault, if there is no such node or port."""
        found = self._node_and_port(end)
        if found is None:
            return None
        number, port = found
        node = self._nodes[number]
        if node.spec is None:
            return Place(number, (port,), None, None)
        located = locate(node.ports, port)
        if located is None:
            message = f"node '{node.entry.id}' ({node.entry.type}) has no port '{port}'"
            self._faults.add(end.port_pointer, message)
            return None
        path, config = located
        return Place(number, path, config, node.ports[str(path[0])])

    def _node_and_port(self, end: EndEntry) -> tuple[int, str] | None:
        if end.node is None:
            return self._split(end)
        number = self._index.get(end.node)
        if number is None:
            self._faults.add(end.node_pointer, f"there is no node '{end.node}'")
            return None
        return number, end.port

    def _split(self, end: EndEntry) -> tuple[int, str] | None:
        """Split `node.port` after the longest node id that fits."""
        text = end.port
        dot = text.rfind(".", 0, MAX_ID + 1)
        while dot > 0:
            number = self._index.get(text[:dot])
            if number is not None and dot + 1 < len(text):
                return number, text[dot + 1 :]
            dot = text.rfind(".", 0, dot)
        self._faults.add(end.node_pointer, f"'{text}' is no 'node.port' of a node that there is")
        return None

    def _check(self, entry: EdgeEntry, source: Place, target: Place) -> None:
        sound = True
        if source.root is not None and not source.root.gives_output:
            message = f"'{format_path(source.path)}' is an input: no edge can leave it"
            self._faults.add(entry.source.port_pointer, message)
            sound = False
        if target.root is not None and not target.root.takes_input:
            message = f"'{format_path(target.path)}' is an output: no edge can lead into it"
            self._faults.add(entry.target.port_pointer, message)
            sound = False
        if source.config is None or target.config is None or not sound:
            return
        if not self._comparison.can_feed(source.config, target.config):
            message = f"{_kind(source)} can't feed {_kind(target)}"
            self._faults.add(entry.pointer, message)


def _kind(place: Place) -> str:
    config = place.config
    kind = "any" if config is None else _type_name(config)
    return f"'{format_path(place.path)}' ({kind})"


def _type_name(config: PortConfig) -> str:
    if config.type in (PortType.ARRAY, PortType.STREAM):
        return f"{config.type} of {_type_name(config.item or PortConfig(PortType.ANY))}"
    if config.type is PortType.OBJECT and config.properties:
        return f"object with {', '.join(map(shortened, islice(config.properties, 5)))}"
    return str(config.type)


def plan_edges(drafts: Sequence[EdgeDraft], faults: FaultLog) -> tuple[PlanEdge, ...]:
    """The edges of a plan, each with an id; a second edge with one id is a fault."""
    named: dict[str, int] = {}
    for draft in drafts:
        edge_id = draft.entry.id
        if edge_id is not None and named.setdefault(edge_id, draft.entry.index) != (
            draft.entry.index
        ):
            pointer = below(draft.entry.pointer, "id")
            faults.add(pointer, f"another edge has the id '{edge_id}', too")
    return tuple(
        PlanEdge(
            index=index,
            id=draft.entry.id or _free_id(index, named),
            source=draft.source.node,
            source_path=draft.source.path,
            target=draft.target.node,
            target_path=draft.target.path,
        )
        for index, draft in enumerate(drafts)
        if draft.source is not None
    )


def _free_id(index: int, named: Mapping[str, int]) -> str:
    candidate = f"edge-{index}"
    while candidate in named:
        candidate += "-"
    return candidate
