"""The edges of a plan as flat lists, so that a run walks them without a lookup by name."""

from __future__ import annotations

from functools import cached_property, lru_cache, partial

from app.engine.participation import NO_GROUP, Participation, groups_of, participation
from app.events.fitting import Shared, share
from app.flows.plan import InPort, Plan
from app.values.ports import ERROR, ERROR_MESSAGE, EXECUTE, SYSTEM_PORTS, PortType

#: Nodes in all that the participations kept for one plan may speak of; each takes some 40 bytes.
KEPT_NODES = 200_000

_ERROR_PORTS = frozenset({ERROR, ERROR_MESSAGE})


class Wiring:
    """A plan's edges by number; made once per plan, shared by its runs, never changed.

    The ports that have edges are numbered through the plan: `ports_of[node]` is the range of
    a node's, `port_node` the node of one, `port_edges` how many edges lead into it.
    `edge_port` is the port that an edge feeds. `value_edges` and `error_edges` are, for each
    node, the edges that resolve when it completes and when it fails. `required_ports` are those of
    `ports_of` that null can't feed, `execute_port` the one that says whether a node runs,
    `output_ports` the ids of the ports that it resolves when it completes, system ports left out,
    `passthroughs` those of them that hand on what came in. `group_of` is the group
    whose child a node is, NO_GROUP without one. `has_cycle` says whether nodes may wait for one
    another in the end, over edges or as a group for its children. `stream_ports` are, for a node
    that has any, the numbers of its ports that read streams.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ports: list[InPort] = []
        self.ports_of: list[range] = []
        self.port_node: list[int] = []
        self.port_edges: list[int] = []
        self.edge_port: list[int] = [-1] * len(plan.edges)
        self.missing: list[int] = []
        self.required_ports: list[tuple[int, ...]] = []
        self.execute_port: dict[int, int] = {}
        self.output_ports: list[tuple[str, ...]] = []
        self.passthroughs: list[tuple[str, ...]] = []
        self.value_edges: list[tuple[int, ...]] = []
        self.error_edges: list[tuple[int, ...]] = []
        self.stream_ports: dict[int, list[int]] = {}
        for node in plan.nodes:
            self._number_ports(node.index, node.in_ports)
            self._split_edges(node.out_edges)
            own = [(p, config) for p, config in node.ports.items() if p not in SYSTEM_PORTS]
            self.output_ports.append(tuple(port for port, config in own if config.gives_output))
            self.passthroughs.append(tuple(port for port, config in own if config.is_passthrough))
        self.group_of = groups_of(plan)
        self._without_event = participation(plan, self.group_of, None)
        self._listened = frozenset(node.event for node in plan.nodes if node.event is not None)
        # Sorted behind all that are listened for, it is none of them.
        self._unheard = f"{max(self._listened, default='')}-"
        # A cache with a lock of its own: the runs of several threads share it.
        self._for_event = lru_cache(max(1, KEPT_NODES // max(1, len(plan.nodes))))(
            partial(participation, plan, self.group_of)
        )
        self.has_cycle = self._finds_cycle()

    @cached_property
    def metadata(self) -> Shared:
        """The flow's metadata, as each of its executions tells it."""
        return share(dict(self.plan.metadata))

    def participation(self, event: str | None) -> Participation:
        """Who takes part in a run for this event; None: for none."""
        if event is None:
            return self._without_event
        # All that nobody listens for have one and the same.
        return self._for_event(event if event in self._listened else self._unheard)

    def edges_out(self, node: int) -> tuple[int, ...]:
        """All edges that leave a node, in whatever order."""
        return self.value_edges[node] + self.error_edges[node]

    def early_edges(self, node: int, port: str) -> list[int]:
        """The edges that an output resolves if it is given before the end of its node.

        Of an open stream only those into ports that read it as one: what takes it as a value
        waits for the whole.
        """
        edges = [e for e in self.value_edges[node] if self.plan.edges[e].source_root == port]
        if self.plan.nodes[node].ports[port].type is not PortType.STREAM:
            return edges
        return [edge for edge in edges if _reads_stream(self.ports[self.edge_port[edge]])]

    def _finds_cycle(self) -> bool:
        waits = [sum(self.port_edges[port] for port in ports) for ports in self.ports_of]
        for group in self.group_of:
            if group != NO_GROUP:
                waits[group] += 1
        free = [node for node, count in enumerate(waits) if not count]
        for node in free:
            targets = [self.port_node[self.edge_port[edge]] for edge in self.edges_out(node)]
            if self.group_of[node] != NO_GROUP:
                targets.append(self.group_of[node])
            for target in targets:
                waits[target] -= 1
                if not waits[target]:
                    free.append(target)
        return len(free) < len(waits)

    def _number_ports(self, node: int, ports: tuple[InPort, ...]) -> None:
        first = len(self.ports)
        for port in ports:
            for edge in port.edges:
                self.edge_port[edge] = len(self.ports)
            if _reads_stream(port):
                self.stream_ports.setdefault(node, []).append(len(self.ports))
            if port.path == (EXECUTE,):
                self.execute_port[node] = len(self.ports)
            self.ports.append(port)
            self.port_node.append(node)
            self.port_edges.append(len(port.edges))
        numbers = range(first, len(self.ports))
        self.ports_of.append(numbers)
        self.required_ports.append(tuple(n for n in numbers if self.ports[n].config.required))
        self.missing.append(len(ports))

    def _split_edges(self, edges: tuple[int, ...]) -> None:
        failing = [self.plan.edges[e].source_root in _ERROR_PORTS for e in edges]
        self.error_edges.append(tuple(e for e, fails in zip(edges, failing, strict=True) if fails))
        self.value_edges.append(
            tuple(e for e, fails in zip(edges, failing, strict=True) if not fails)
        )


def _reads_stream(port: InPort) -> bool:
    return port.config.type is PortType.STREAM and len(port.path) == 1
