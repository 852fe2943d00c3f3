"""The inputs of one run, laid over what the document stores (CONTRACT.md, `POST /executions`)."""

from __future__ import annotations

from collections.abc import Mapping

from app.errors import ValidationFailed
from app.flows.faults import FaultLog, below
from app.flows.plan import Plan, PlanNode
from app.flows.storing import PATTERN_TIME_S, locate, put_nested
from app.values.checks import FaultKind, PatternTime, value_faults
from app.values.jsonable import kind_of
from app.values.paths import Path
from app.values.ports import Value


def overlay_inputs(plan: Plan, inputs: Value) -> dict[int, dict[str, Value]]:
    """Read `{nodeId: {portIdOrPath: value}}`; give the root values that change, by node number.

    A port's value replaces what is stored; a path changes that place alone, in a copy. Raises
    ValidationFailed, with pointers such as `/inputs/node/port`, for an unknown node or port, an
    output, or a value that the port doesn't allow.
    """
    faults = FaultLog()
    pattern_time = PatternTime(PATTERN_TIME_S)
    overlaid: dict[int, dict[str, Value]] = {}
    for node_id, given in _object(inputs, "/inputs", faults).items():
        pointer = below("/inputs", node_id)
        number = plan.index_of.get(node_id)
        if number is None:
            faults.add(pointer, f"there is no node '{node_id}'")
            continue
        ports = _object(given, pointer, faults)
        overlaid[number] = _overlay_node(plan.nodes[number], ports, pointer, faults, pattern_time)
    if faults:
        raise ValidationFailed(faults.listed())
    return overlaid


def _object(value: Value, pointer: str, faults: FaultLog) -> Mapping[str, Value]:
    if isinstance(value, dict):
        return value
    faults.add(pointer, f"must be an object, not {kind_of(value)}")
    return {}


def _overlay_node(
    node: PlanNode,
    given: Mapping[str, Value],
    pointer: str,
    faults: FaultLog,
    pattern_time: PatternTime,
) -> dict[str, Value]:
    roots: dict[str, Value] = {}
    nested: list[tuple[Path, Value]] = []
    for name, value in given.items():
        path = _checked(node, name, value, below(pointer, name), faults, pattern_time)
        if path is None:
            continue
        if len(path) == 1:
            roots[str(path[0])] = value
        else:
            nested.append((path, value))
    changed = {**node.values, **roots}
    put_nested(changed, nested)
    return {root: changed[root] for root in [*roots, *(str(path[0]) for path, _ in nested)]}


def _checked(
    node: PlanNode,
    name: str,
    value: Value,
    pointer: str,
    faults: FaultLog,
    pattern_time: PatternTime,
) -> Path | None:
    place = locate(node.ports, name)
    if place is None:
        faults.add(pointer, f"node '{node.id}' ({node.type}) has no port '{name}'")
        return None
    path, config = place
    if not node.ports[str(path[0])].takes_input:
        faults.add(pointer, f"'{name}' is an output")
        return None
    for fault in value_faults(config, value, pattern_time):
        # What is missing inside an object may come over an edge.
        if fault.kind is not FaultKind.MISSING:
            faults.add(below(pointer, *fault.path), fault.message)
    return path
