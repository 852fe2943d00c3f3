"""The ports of a run that have edges: which edge feeds each, and which can be fed no more."""

from __future__ import annotations

from collections.abc import Sequence

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

    def resolve(self, edges: Sequence[int]) -> list[int]:
        """Resolve ports that still wait; the nodes that got a port resolved."""
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
        return list(touched)

    def close(self, edges: Sequence[int]) -> list[int]:
        """Close edges that will never resolve; the ports that can't be fed any more."""
        unfed = []
        for edge in edges:
            port = self._wiring.edge_port[edge]
            self._open[port] -= 1
            if not self._open[port] and self.chosen[port] == UNRESOLVED:
                unfed.append(port)
        return unfed
