"""Outputs that running nodes gave before their end, and who reads the streams among them.

A value that was given early stands: it is durable before anything comes of it, and whoever it
feeds needs its source no more. A stream is given open, and lives as long as the attempt that
sends into it: its readers start only beside that attempt, or once its source is settled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from app.engine.state import SETTLED, NodeFailure, NodeStatus, Outputs, RunOptions
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
        options: RunOptions,
    ) -> None:
        self._wiring = wiring
        self._status = status
        self._running = running
        self._chosen = chosen
        self._side_by_side = options.side_by_side
        self._edges: set[int] = set()
        self.outputs: dict[int, dict[str, Value]] = {}
        #: The running nodes that another process runs: nobody here can read what they send.
        self.elsewhere: set[int] = set()

    def give(self, node: int, outputs: Outputs) -> list[int] | None:
        """Note outputs of a node; gives the edges that they resolve, None where none is new."""
        given = self.outputs.setdefault(node, {})
        new = {port: value for port, value in outputs.items() if port not in given}
        given |= new
        edges = [edge for port in new for edge in self._wiring.early_edges(node, port)]
        self._edges.update(edges)
        return edges if new else None

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
        """What a failed node leaves of what it gave early.

        A stream that it hadn't closed ends with its error; `streamed` has what it sent by port.
        """
        standing = self.standing(node)
        left = {
            port: streamed.get(port, value) for port, value in self.outputs.get(node, {}).items()
        }
        return {
            port: value
            if port in standing or value["isClosed"]
            else stream_value(items_of(value), error=error.as_json())
            for port, value in left.items()
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
        sources = {self._source(edge) for edge in self.open_streams(node)}
        return bool(sources) and not (beside and sources <= self._running - self.elsewhere)

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
