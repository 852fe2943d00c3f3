"""Which nodes of a flow can ever run: linear walks over sources and ports, by node number.

A node starts when each of its ports with edges has one source that is resolved (docs/flows.md,
rule 1): AND over ports, OR over the edges of one port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: A source that isn't known (its edge is at fault elsewhere) and so may be there in time.
UNKNOWN = -1

#: Nodes whose failure is told apart from their success. Each costs two bits per node; beyond
#: this many, a node that waits for both of one is simply not warned about.
MAX_FORKS = 2_048


@dataclass(frozen=True, slots=True)
class Feed:
    """An edge as it counts here: its source, and whether it needs that to fail."""

    source: int
    on_error: bool = False


#: Per node, per port with edges, the feeds of that port in document order.
Wires = Sequence[Sequence[Sequence[Feed]]]


def start_order(wires: Wires, settled: Sequence[bool]) -> list[int]:
    """The nodes that can start, each after whatever first made it ready.

    `settled` marks the nodes that count as completed from the beginning.
    """
    waiting = [0 if done else len(ports) for ports, done in zip(wires, settled, strict=True)]
    fed: list[list[tuple[int, int]]] = [[] for _ in wires]
    resolved = [[False] * len(ports) for ports in wires]
    order = [node for node, missing in enumerate(waiting) if not missing]
    for node, ports in enumerate(wires):
        for port, feeds in enumerate(ports):
            for feed in feeds:
                if feed.source != UNKNOWN:
                    fed[feed.source].append((node, port))
                elif not resolved[node][port]:
                    _resolve(node, port, resolved, waiting, order)
    for node in order:
        for target, port in fed[node]:
            if not resolved[target][port]:
                _resolve(target, port, resolved, waiting, order)
    return order


def _resolve(
    node: int, port: int, resolved: list[list[bool]], waiting: list[int], order: list[int]
) -> None:
    resolved[node][port] = True
    if waiting[node]:
        waiting[node] -= 1
        if not waiting[node]:
            order.append(node)


def dead_cycles(wires: Wires, order: Sequence[int]) -> list[list[int]]:
    """The cycles that keep nodes from starting, each in the direction of its edges.

    `order` is that of `start_order`. Every node that can't start waits for another one that
    can't, so following those leads into a cycle; each cycle met so is given once.
    """
    blocked = [True] * len(wires)
    for node in order:
        blocked[node] = False
    waits_for = {
        node: next(
            feeds[0].source
            for feeds in wires[node]
            if all(feed.source != UNKNOWN and blocked[feed.source] for feed in feeds)
        )
        for node, stuck in enumerate(blocked)
        if stuck
    }
    return [[ring[0], *reversed(ring[1:])] for ring in rings(waits_for)]


def rings(following: Mapping[int, int]) -> list[list[int]]:
    """The cycles of a graph in which each node leads to one other or to none.

    Each is given in the direction in which it is followed, from its lowest node on.
    """
    found: list[list[int]] = []
    walked: dict[int, int] = {}
    for start in following:
        trail: list[int] = []
        node = start
        while node in following and node not in walked:
            walked[node] = start
            trail.append(node)
            node = following[node]
        if trail and walked.get(node) == start:
            ring = trail[trail.index(node) :]
            lowest = ring.index(min(ring))
            found.append(ring[lowest:] + ring[:lowest])
    return found


def never_running(wires: Wires, settled: Sequence[bool], order: Sequence[int]) -> list[int]:
    """Nodes that can start by their wires, and yet never will, in the order of `order`.

    Such a node needs one and the same other node both to complete and to fail, or needs a
    node that never runs. What is found here is certain; not everything that is certain is found.
    """
    walk = _Walk(wires, settled)
    for node in _sources_first(wires, order):
        walk.visit(node)
    return [node for node in order if walk.never[node]]


class _Walk:
    """What must have happened before each node starts, as bits: node k completed, k failed."""

    def __init__(self, wires: Wires, settled: Sequence[bool]) -> None:
        self.wires = wires
        self.settled = settled
        self.never = [False] * len(wires)
        self.needs = [0] * len(wires)
        forks = {
            feed.source for ports in wires for feeds in ports for feed in feeds if feed.on_error
        }
        forks.discard(UNKNOWN)
        chosen = sorted(forks)[:MAX_FORKS]
        self.bit = {node: 1 << (2 * place) for place, node in enumerate(chosen)}
        self.completed_bits = sum(self.bit.values())

    def visit(self, node: int) -> None:
        """Work out one node; sources that were not visited yet count as needing nothing."""
        if self.settled[node]:
            return
        for feeds in self.wires[node]:
            ways = [need for feed in feeds if (need := self._need(feed)) is not None]
            if not ways:
                self.never[node] = True
                return
            common = ways[0]
            for way in ways[1:]:
                common &= way
            self.needs[node] |= common
        self.never[node] = self._contradicts(self.needs[node])

    def _need(self, feed: Feed) -> int | None:
        """What an edge delivers after; None if it never delivers."""
        if feed.source == UNKNOWN:
            return 0
        if self.never[feed.source] or (feed.on_error and self.settled[feed.source]):
            return None
        outcome = self.bit.get(feed.source, 0) << feed.on_error
        need = self.needs[feed.source] | outcome
        return None if self._contradicts(need) else need

    def _contradicts(self, needs: int) -> bool:
        return bool(needs & (needs >> 1) & self.completed_bits)


def _sources_first(wires: Wires, order: Sequence[int]) -> list[int]:
    """Nodes after all of their sources; those in or behind a cycle last, in starting order."""
    waiting = [sum(len(feeds) for feeds in ports) for ports in wires]
    fed: list[list[int]] = [[] for _ in wires]
    for node, ports in enumerate(wires):
        for feeds in ports:
            for feed in feeds:
                if feed.source == UNKNOWN:
                    waiting[node] -= 1
                else:
                    fed[feed.source].append(node)
    walk = [node for node, edges in enumerate(waiting) if not edges]
    for node in walk:
        for target in fed[node]:
            waiting[target] -= 1
            if not waiting[target]:
                walk.append(target)
    placed = set(walk)
    return walk + [node for node in order if node not in placed]
