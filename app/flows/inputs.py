"""The inputs of one run, laid over what the document stores (docs/api.md, Executions)."""

from __future__ import annotations

from collections.abc import Mapping

from app.errors import ValidationFailed
from app.flows.faults import FaultLog, below
from app.flows.plan import Plan, PlanNode
from app.flows.storing import Gaps, locate, put_nested
from app.values.bounds import Bounds, PatternTime
from app.values.checks import FaultKind, value_faults
from app.values.jsonable import kind_of
from app.values.paths import Path
from app.values.ports import Value


def overlay_inputs(
    plan: Plan, inputs: Value, bounds: Bounds | None = None
) -> dict[int, dict[str, Value]]:
    """Read `{nodeId: {portIdOrPath: value}}`; give the root values that change, by node number.

    A port's value replaces what is stored; a path changes that place alone, in a copy. The inputs
    of several runs may share `bounds`, and with them the time that patterns may take. Raises
    ValidationFailed, with pointers such as `/inputs/node/port`, for an unknown node or port, an
    output, or a value that the port doesn't allow.
    """
    overlay = _Overlay(plan, bounds or Bounds(PatternTime()))
    overlaid = overlay.read(inputs)
    if overlay.faults:
        raise ValidationFailed(overlay.faults.listed())
    return overlaid


class _Overlay:
    """Reads the inputs for one plan; keeps every fault that it meets."""

    def __init__(self, plan: Plan, bounds: Bounds) -> None:
        self.faults = FaultLog()
        self._plan = plan
        self._bounds = bounds
        self._gaps = Gaps()

    def read(self, inputs: Value) -> dict[int, dict[str, Value]]:
        """The root values that change, by node number."""
        overlaid: dict[int, dict[str, Value]] = {}
        for node_id, given in self._object(inputs, "/inputs").items():
            pointer = below("/inputs", node_id)
            number = self._plan.index_of.get(node_id)
            if number is None:
                self.faults.add(pointer, f"there is no node '{node_id}'")
                continue
            ports = self._object(given, pointer)
            overlaid[number] = self._node(self._plan.nodes[number], ports, pointer)
        return overlaid

    def _object(self, value: Value, pointer: str) -> Mapping[str, Value]:
        if isinstance(value, dict):
            return value
        self.faults.add(pointer, f"must be an object, not {kind_of(value)}")
        return {}

    def _node(self, node: PlanNode, given: Mapping[str, Value], pointer: str) -> dict[str, Value]:
        roots: dict[str, Value] = {}
        nested: list[tuple[Path, Value]] = []
        for name, value in given.items():
            path = self._checked_path(node, name, value, below(pointer, name))
            if path is None:
                continue
            if len(path) == 1:
                roots[str(path[0])] = value
            else:
                nested.append((path, value))
        changed = {**node.values, **roots}
        put_nested(changed, nested, pointer, self.faults, self._gaps)
        return {root: changed[root] for root in [*roots, *(str(path[0]) for path, _ in nested)]}

    def _checked_path(self, node: PlanNode, name: str, value: Value, pointer: str) -> Path | None:
        place = locate(node.ports, name)
        if place is None:
            self.faults.add(pointer, f"node '{node.id}' ({node.type}) has no port '{name}'")
            return None
        path, config = place
        if not node.ports[str(path[0])].takes_input:
            self.faults.add(pointer, f"'{name}' is an output")
            return None
        for fault in value_faults(config, value, self._bounds):
            # What is missing inside an object may come over an edge.
            if fault.kind is not FaultKind.MISSING:
                self.faults.add(below(pointer, *fault.path), fault.message)
        return path
