"""What crosses the edges of a run: the values that a node is given, and from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.engine.stuck import UNRESOLVED
from app.engine.wiring import Wiring
from app.values.copying import copy_value
from app.values.merging import transfer
from app.values.paths import get_path
from app.values.ports import EXECUTE, Missing, Value


class Transfers:
    """Reads the values of a run; `outputs` and `chosen` are the engine's own, and grow."""

    def __init__(
        self,
        wiring: Wiring,
        inputs: Mapping[int, Mapping[str, Value]],
        outputs: Mapping[int, Mapping[str, Value]],
        chosen: Sequence[int],
    ) -> None:
        self._plan = wiring.plan
        self._wiring = wiring
        self._inputs = inputs
        self._outputs = outputs
        self._chosen = chosen

    def stored(self, node: int) -> dict[str, Value]:
        """What the document stores for a node, laid over by the run's own inputs."""
        return {**self._plan.nodes[node].values, **self._inputs.get(node, {})}

    def inputs(self, node: int) -> dict[str, Value]:
        """What a started node is given: stored values, laid over by the run's, by the edges'."""
        plan_node = self._plan.nodes[node]
        values = {port: copy_value(value) for port, value in plan_node.values.items()}
        for port, value in self._inputs.get(node, {}).items():
            values[port] = copy_value(value)
        for number in self.chosen_edges(node):
            edge = self._plan.edges[number]
            transfer(values, edge.target_path, self._source_value(number))
        return values

    def held(self, node: int, returned: Mapping[str, Value]) -> Mapping[str, Value]:
        """What the ports hold that a node did not return: its inputs, if one passes through."""
        for port in self._wiring.passthroughs[node]:
            if port not in returned:
                return self.inputs(node)
        return self._plan.nodes[node].values

    def chosen_edges(self, node: int) -> list[int]:
        """The edges that feed a node that is ready or was, in document order."""
        ports = self._wiring.ports_of[node]
        if len(ports) == 1:
            edge = self._chosen[ports.start]
            return [] if edge == UNRESOLVED else [edge]
        chosen = [self._chosen[port] for port in ports]
        return sorted(edge for edge in chosen if edge != UNRESOLVED)

    def failed(self, node: int) -> int | None:
        """The first edge that would bring null into a required port of a ready node."""
        for port in self._wiring.required_ports[node]:
            edge = self._chosen[port]
            if self._source_value(edge) is None:
                return edge
        return None

    def execute_value(self, node: int) -> Value:
        """What `__execute` of a ready node is."""
        port = self._wiring.execute_port.get(node)
        if port is not None:
            return self._source_value(self._chosen[port])
        overlaid = self._inputs.get(node, {})
        if EXECUTE in overlaid:
            return overlaid[EXECUTE]
        return self._plan.nodes[node].values.get(EXECUTE, True)

    def _source_value(self, edge_index: int) -> Value:
        edge = self._plan.edges[edge_index]
        outputs = self._outputs[edge.source]
        if len(edge.source_path) == 1:
            return outputs.get(edge.source_root)
        found = get_path(outputs, edge.source_path)
        return None if isinstance(found, Missing) else found
