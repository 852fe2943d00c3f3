"""The values that a document stores in the ports of a node, laid over their defaults."""

from __future__ import annotations

from collections.abc import Sequence

from app.flows.document import Form, NodeEntry, PortEntry
from app.flows.faults import FaultLog, below
from app.flows.shaping import Ports
from app.values.bounds import Bounds
from app.values.checks import FaultKind, check_json, value_faults
from app.values.compatibility import config_at
from app.values.copying import copy_value
from app.values.merging import empty_positions, set_path
from app.values.paths import Path, format_path, parse_path
from app.values.ports import EXECUTE, SYSTEM_PORTS, Missing, PortConfig, Value

#: Positions of arrays that the paths of one document may leave empty, all of them together.
MAX_EMPTY = 10_000


class Gaps:
    """Counts what paths leave empty: four characters of one make a hundred positions."""

    def __init__(self) -> None:
        self._left = MAX_EMPTY

    def take(self, value: Value, steps: Path) -> None:
        """Count what a path leaves empty in a value; raises ValueError where it is too much."""
        empty = empty_positions(value, steps)
        if empty > self._left:
            raise ValueError(f"more than {MAX_EMPTY} positions of arrays would be left empty")
        self._left -= empty


class Storing:
    """Reads stored values; what a port doesn't allow is a fault, or a warning in an export."""

    def __init__(self, form: Form, faults: FaultLog, warnings: FaultLog, bounds: Bounds) -> None:
        self._form = form
        self._faults = faults
        self._warnings = warnings
        self._bounds = bounds
        self._gaps = Gaps()

    def values(self, node: NodeEntry, ports: Ports) -> dict[str, Value]:
        """The stored value, or else the default, of each root port that has either."""
        values = {
            name: config.default
            for name, config in ports.items()
            if not isinstance(config.default, Missing) and name not in SYSTEM_PORTS
        }
        for port in node.ports:
            self._exported(port, ports, values)
        self._native(node, ports, values)
        return values

    def _exported(self, port: PortEntry, ports: Ports, values: dict[str, Value]) -> None:
        config = ports.get(port.id)
        # Of the system ports only __execute holds anything; the others tell of an earlier run.
        if config is None or (port.id in SYSTEM_PORTS and port.id != EXECUTE):
            return
        if isinstance(port.value, Missing):
            return
        allowed = self._allowed if config.takes_input else self._is_fresh
        if allowed(config, port.value, port.pointer, "value"):
            values[port.id] = port.value

    def _is_fresh(self, config: PortConfig, value: Value, pointer: str, *steps: str) -> bool:
        """Whether an output holds what it may hold: it is of an earlier run, so no fault."""
        for fault in value_faults(config, value, self._bounds):
            if fault.kind is FaultKind.TYPE:
                place = below(pointer, *steps, *fault.path)
                self._warnings.add(place, f"is ignored: {fault.message}")
                return False
        return True

    def _native(self, node: NodeEntry, ports: Ports, values: dict[str, Value]) -> None:
        nested: list[tuple[Path, Value]] = []
        for name, value in node.values.items():
            place = locate(ports, name)
            if place is None:
                pointer = below(node.pointer, "values", name)
                self._faults.add(pointer, f"{node.type} has no port '{name}'")
                continue
            path, config = place
            if not self._allowed(config, value, node.pointer, "values", name):
                continue
            if len(path) == 1:
                values[name] = value
            else:
                nested.append((path, value))
        put_nested(values, nested, below(node.pointer, "values"), self._faults, self._gaps)

    def _allowed(self, config: PortConfig, value: Value, pointer: str, *steps: str) -> bool:
        allowed = True
        for fault in value_faults(config, value, self._bounds):
            place = below(pointer, *steps, *fault.path)
            if fault.kind is FaultKind.MISSING:
                # An edge may bring it; if none does, the node says so when it runs.
                continue
            if fault.kind is FaultKind.BOUNDS and self._form is Form.EXPORT:
                self._warnings.add(place, fault.message)
            else:
                self._faults.add(place, fault.message)
                allowed = False
        return allowed


def locate(ports: Ports, name: str) -> tuple[Path, PortConfig] | None:
    """The path and the config of a port or of a place inside one; None if there is none."""
    if name in ports:
        return (name,), ports[name]
    try:
        path = parse_path(name)
    except ValueError:
        return None
    if not isinstance(path[0], str):
        # `[0]` is a position, and no port, even where a port is called 0.
        return None
    root = ports.get(path[0])
    config = None if root is None else config_at(root, path)
    return None if config is None else (path, config)


def put_nested(
    values: dict[str, Value],
    nested: Sequence[tuple[Path, Value]],
    pointer: str,
    faults: FaultLog,
    gaps: Gaps,
) -> None:
    """Put values at paths inside root values; the roots are copied first, once each.

    `pointer` leads to the object whose keys the paths are; what can't be put is a fault there.
    """
    owned: dict[str, None] = {}
    for path, value in nested:
        root = str(path[0])
        if root not in owned:
            owned[root] = None
            values[root] = copy_value(values.get(root))
        try:
            gaps.take(values[root], path[1:])
            # A copy: a later path may lead into this very value, which is the document's.
            values[root] = set_path(values[root], path[1:], copy_value(value))
        except ValueError as error:
            faults.add(below(pointer, format_path(path)), str(error))
    for root in owned:
        # Each value is fine by itself, and yet together they may be too deep.
        unfit = check_json(values[root])
        if unfit is not None:
            faults.add(pointer, f"'{root}' can't be made of its parts: {unfit}")
