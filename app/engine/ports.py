"""The ports of a run that have edges: which edge feeds each, and which can be fed no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.engine.participation import NO_GROUP
from app.engine.stuck import UNRESOLVED
from app.engine.wiring import Wiring


class PortStates:
    """`chosen` is the edge that feeds each port, by the port's number; UNRESOLVED for none yet.

    `missing` counts, for each node, the ports that wait, and for a group also the children that
    have not settled.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._open = list(wiring.port_edges)
        self.chosen = [UNRESOLVED] * len(wiring.ports)
        self.missing = list(wiring.missing)
        #: The group of each child that settled and was not counted yet.
        self._left: list[int] = []

    def resolve(self, edges: Sequence[int]) -> list[int]:
        """Resolve ports that still wait; the nodes that wait for none after that."""
        touched: dict[int, None] = {}
        for edge in edges:
            port = self._wiring.edge_port[edge]
            node = self._wiring.port_node[port]
            self._open[port] -= 1
            if self.chosen[port] == UNRESOLVED:
                self.missing[node] -= 1
                self.chosen[port] = edge
                touched[node] = None
            elif edge < self.chosen[port] and (self.missing[node] or node in touched):
                # Until the node is ready the first edge in document order wins.
                self.chosen[port] = edge
        return [node for node in touched if not self.missing[node]]

    def close(self, edges: Sequence[int]) -> list[int]:
        """Close edges that will never resolve; the ports that can't be fed any more."""
        unfed = []
        for edge in edges:
            port = self._wiring.edge_port[edge]
            self._open[port] -= 1
            if not self._open[port] and self.chosen[port] == UNRESOLVED:
                unfed.append(port)
        return unfed

    def leave(self, node: int) -> None:
        """A node has settled: if it is in a group, that waits for one child less."""
        group = self._wiring.group_of[node]
        if group != NO_GROUP:
            self._left.append(group)

    def take_left(self) -> Iterator[int]:
        """Count the children that settled; gives the groups that wait for nothing any more."""
        for group in self._left:
            self.missing[group] -= 1
            if not self.missing[group]:
                yield group
        self._left.clear()
