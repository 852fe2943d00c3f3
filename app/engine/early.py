"""Outputs that running nodes gave before their end, and who reads the streams among them.

A value that was given early stands: it is durable before anything comes of it, and whoever it
feeds needs its source no more. A stream is given open, and lives as long as the attempt that
sends into it: its readers start only beside that attempt, or once its source is settled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from app.engine.state import SETTLED, NodeFailure, NodeStatus
from app.engine.wiring import Wiring
from app.nodes.queues import DEFAULT_QUEUE
from app.values.ports import PortType, Value
from app.values.streams import items_of, stream_value


class EarlyOutputs:
    """What was given early in a run; `status`, `running` and `chosen` are the engine's own.

    With `side_by_side=False` readers wait until their source is settled; so do those that have a
    queue of their own, which run in another process.
    """

    def __init__(
        self,
        wiring: Wiring,
        status: Sequence[NodeStatus],
        running: set[int],
        chosen: Sequence[int],
        *,
        side_by_side: bool,
    ) -> None:
        self._wiring = wiring
        self._status = status
        self._running = running
        self._chosen = chosen
        self._side_by_side = side_by_side
        self._edges: set[int] = set()
        self.outputs: dict[int, dict[str, Value]] = {}

    def give(self, node: int, port: str, value: Value) -> list[int] | None:
        """Note an output of a node; gives the edges that it resolves, None if it was given."""
        given = self.outputs.setdefault(node, {})
        if port in given:
            return None
        given[port] = value
        edges = self._wiring.early_edges(node, port)
        self._edges.update(edges)
        return edges

    def standing(self, node: int) -> dict[str, Value]:
        """The values that a node gave early, whatever it gives for them at its end."""
        ports = self._wiring.plan.nodes[node].ports
        given = self.outputs.get(node, {})
        return {
            port: value for port, value in given.items() if ports[port].type is not PortType.STREAM
        }

    def left_by(
        self, node: int, streamed: Mapping[str, Value], error: NodeFailure
    ) -> dict[str, Value]:
        """What a failed node leaves of what it gave early: its streams end with its error.

        `streamed` has the items that it sent, as the value of each stream by port.
        """
        standing = self.standing(node)
        given = self.outputs.get(node, {})
        return {
            port: value
            if port in standing
            else stream_value(items_of(streamed.get(port, value)), error=error.as_json())
            for port, value in given.items()
        }

    def open_streams(self, node: int) -> Iterator[int]:
        """The edges that feed a node from streams whose sources are not settled."""
        for port in self._wiring.stream_ports.get(node, ()):
            edge = self._chosen[port]
            if edge in self._edges and self._status[self._source(edge)] not in SETTLED:
                yield edge

    def is_held(self, node: int) -> bool:
        """Whether a ready node has to wait for the source of a stream that it reads."""
        beside = self._side_by_side and self._wiring.plan.nodes[node].queue == DEFAULT_QUEUE
        return any(
            not beside or self._source(edge) not in self._running
            for edge in self.open_streams(node)
        )

    def readers(self, node: int) -> list[int]:
        """The running nodes that read streams of a node."""
        if node not in self.outputs:
            return []
        return [
            reader
            for reader in self._running
            if any(self._source(edge) == node for edge in self.open_streams(reader))
        ]

    def _source(self, edge: int) -> int:
        return self._wiring.plan.edges[edge].source
