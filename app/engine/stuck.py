"""What can't be fed any more, once nothing runs, waits or could start: the end of cycles."""

from __future__ import annotations

from collections.abc import Sequence

from app.engine.wiring import Wiring

#: A port none of whose edges is chosen yet.
UNRESOLVED = -1


def unfed_for_good(wiring: Wiring, stuck: Sequence[int], chosen: Sequence[int]) -> list[int]:
    """Of these nodes, which wait for one another, a port of each that can never be fed.

    A group may still come: it waits for children that settle as soon as they are skipped. What
    it would feed is left to wait. Where that is all, a child waits for its own group, and
    none of them will ever be fed. At least one port is given.
    """
    open_ports = {
        node: [port for port in wiring.ports_of[node] if chosen[port] == UNRESOLVED]
        for node in stuck
    }
    hoped = _hoped_for(wiring, open_ports, chosen)
    unfed = [
        next(port for port in ports if port not in hoped)
        for ports in open_ports.values()
        if not hoped.issuperset(ports)
    ]
    return unfed or [ports[0] for ports in open_ports.values() if ports]


def _hoped_for(wiring: Wiring, open_ports: dict[int, list[int]], chosen: Sequence[int]) -> set[int]:
    """The ports that are fed if every group that only waits for its children completes."""
    missing = {node: len(ports) for node, ports in open_ports.items()}
    hoped: set[int] = set()
    coming = [node for node, count in missing.items() if not count]
    for node in coming:
        for edge in wiring.edges_out(node):
            port = wiring.edge_port[edge]
            target = wiring.port_node[port]
            if port in hoped or chosen[port] != UNRESOLVED or target not in open_ports:
                continue
            hoped.add(port)
            missing[target] -= 1
            if not missing[target]:
                coming.append(target)
    return hoped
