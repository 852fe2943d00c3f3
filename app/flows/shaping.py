"""The ports of one node: those of its type, as far as a document may shape them anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.errors import ValidationFailed
from app.flows.document import Form, NodeEntry, PortEntry
from app.flows.faults import FaultLog, below
from app.nodes.spec import NodeSpec
from app.values.bounds import Bounds, PatternTime
from app.values.checks import FaultKind, ValueFault, value_faults
from app.values.codec import port_from_json
from app.values.copying import copy_value
from app.values.merging import merge
from app.values.paths import parse_path
from app.values.ports import SYSTEM_PORTS, Missing, PortConfig, PortType, Value

Ports = Mapping[str, PortConfig]

#: Ports whose schema is that of another port, by node type, where a document gives them none.
_FOLLOWS: Mapping[str, Mapping[str, str]] = {"EventListenerNodeV2": {"eventPayload": "eventSchema"}}


class Shaper:
    """Shapes the ports of a document's nodes; what nodes of one type share is made once."""

    def __init__(
        self, form: Form, faults: FaultLog, warnings: FaultLog, pattern_time: PatternTime
    ) -> None:
        self._form = form
        self._pattern_time = pattern_time
        self._bounds = Bounds(pattern_time)
        self._faults = faults
        self._warnings = warnings
        # By identity, and what is meant is kept along: two nodes of one type may differ in their
        # ports, where those follow from their values.
        self._plain: dict[int, tuple[NodeSpec, Ports]] = {}
        self._enforced: dict[int, tuple[Ports, Ports]] = {}
        self._specs: dict[int, tuple[NodeSpec, NodeSpec]] = {}

    def ports(self, node: NodeEntry, spec: NodeSpec) -> Ports:
        """A node's ports, system ports first, with all that is stated of them."""
        plain = self._plain_ports(spec)
        described = [port for port in node.ports if isinstance(port.config, dict)]
        if self._form is Form.NATIVE:
            self._refuse_what_is_no_config(node)
        shaped: dict[str, PortConfig] = {}
        for port in described:
            config = self._shape(port, spec, plain)
            if config is not None:
                shaped[port.id] = config
        return _with_followers(spec, {**plain, **shaped}) if shaped else plain

    def enforced(self, ports: Ports) -> Ports:
        """The ports as a run enforces them: in an export, bounds are stated and no more."""
        if self._form is Form.NATIVE:
            return ports
        known = self._enforced.get(id(ports))
        if known is None:
            loose = {name: without_bounds(config) for name, config in ports.items()}
            known = self._enforced[id(ports)] = (ports, loose)
        return known[1]

    def enforced_spec(self, spec: NodeSpec) -> NodeSpec:
        """The node type as a run enforces it, by the same rule."""
        if self._form is Form.NATIVE:
            return spec
        known = self._specs.get(id(spec))
        if known is None:
            loose = {name: without_bounds(config) for name, config in spec.ports.items()}
            known = self._specs[id(spec)] = (spec, replace(spec, ports=loose))
        return known[1]

    def _plain_ports(self, spec: NodeSpec) -> Ports:
        known = self._plain.get(id(spec))
        if known is None:
            known = self._plain[id(spec)] = (spec, {**SYSTEM_PORTS, **spec.ports})
        return known[1]

    def _refuse_what_is_no_config(self, node: NodeEntry) -> None:
        for port in node.ports:
            if not isinstance(port.config, dict):
                self._faults.add(port.pointer, "must be an object: a port config")

    def _shape(self, port: PortEntry, spec: NodeSpec, plain: Ports) -> PortConfig | None:
        if port.id in SYSTEM_PORTS:
            return self._refused(port, "a system port can't be changed")
        standing = plain.get(port.id)
        if standing is None:
            return self._added(port, spec)
        if is_open(standing):
            return self._refined(port, standing)
        if self._form is Form.EXPORT:
            return self._with_default(port, standing)
        return self._refused(port, f"{spec.type} doesn't let its port '{port.id}' be changed")

    def _refused(self, port: PortEntry, message: str) -> PortConfig | None:
        """No config of the document's own: the type's stands, if it has one."""
        # An export describes every port that it has, so there a description asks for nothing.
        if self._form is Form.NATIVE:
            self._faults.add(port.pointer, message)
        return None

    def _added(self, port: PortEntry, spec: NodeSpec) -> PortConfig | None:
        if not spec.extra_ports:
            return self._refused(port, f"{spec.type} has no port '{port.id}'")
        if not _is_plain_id(port.id):
            return self._refused(port, "a port's id must not hold '.', '[' or ']'")
        return self._read(port, PortConfig(PortType.ANY))

    def _refined(self, port: PortEntry, standing: PortConfig) -> PortConfig | None:
        config = self._read(port, standing)
        if config is None:
            return None
        if not _may_become(standing, config):
            message = f"is of type {standing.type}, and can't be made {config.type}"
            return self._refused(port, message)
        return _refine(standing, config)

    def _read(self, port: PortEntry, standing: PortConfig) -> PortConfig | None:
        exported = self._form is Form.EXPORT
        pointer = below(port.pointer, "config") if exported else port.pointer
        try:
            config = port_from_json(
                {"type": str(standing.type), **port.config},
                pointer=pointer,
                lenient=exported,
                direction=standing.direction,
                pattern_time=self._pattern_time,
            )
        except ValidationFailed as failed:
            self._faults.extend(failed.faults)
            return None
        if not exported:
            self._check_default(config, pointer)
        return config

    def _check_default(self, config: PortConfig, pointer: str) -> None:
        if isinstance(config.default, Missing):
            return
        fault = self._default_fault(config, config.default)
        if fault is not None:
            place = below(pointer, "defaultValue", *fault.path)
            self._faults.add(place, fault.message)

    def _default_fault(self, config: PortConfig, default: Value) -> ValueFault | None:
        """What is wrong with a default; null is a fine one, also where an edge may bring none."""
        loose = replace(config, required=False)
        return next(value_faults(loose, default, self._bounds), None)

    def _with_default(self, port: PortEntry, standing: PortConfig) -> PortConfig | None:
        """The type's own config with an export's default and requiredness."""
        said: dict[str, Value] = {}
        if "defaultValue" in port.config:
            fault = self._default_fault(standing, port.config["defaultValue"])
            if fault is None or fault.kind is not FaultKind.TYPE:
                said["default"] = port.config["defaultValue"]
            else:
                pointer = below(port.pointer, "config", "defaultValue", *fault.path)
                self._warnings.add(pointer, f"is ignored: {fault.message}")
        if isinstance(port.config.get("required"), bool):
            said["required"] = port.config["required"]
        return replace(standing, **said) if _differs(standing, said) else None


def _with_followers(spec: NodeSpec, ports: dict[str, PortConfig]) -> Ports:
    """The ports, of which one without a schema takes that of the port that it follows."""
    for name, followed in _FOLLOWS.get(spec.type, {}).items():
        schema = ports[followed].properties
        if schema and not ports[name].properties:
            ports[name] = replace(ports[name], properties=schema)
    return ports


def _differs(config: PortConfig, said: Mapping[str, Value]) -> bool:
    return any(getattr(config, name) != value for name, value in said.items())


def _is_plain_id(port_id: str) -> bool:
    try:
        return parse_path(port_id) == (port_id,)
    except ValueError:
        return False


def is_open(config: PortConfig) -> bool:
    """Whether a document may say more of a port: its type leaves something open."""
    if config.mutable:
        return True
    match config.type:
        case PortType.ANY:
            return True
        case PortType.ARRAY | PortType.STREAM:
            return config.item is None or config.item.type is PortType.ANY
        case PortType.OBJECT:
            return not config.properties
        case PortType.ENUM:
            return not config.options
        case _:
            return False


def _may_become(standing: PortConfig, config: PortConfig) -> bool:
    return standing.type is PortType.ANY or standing.type is config.type


def _refine(standing: PortConfig, said: PortConfig) -> PortConfig:
    """Lay what a document says over the type's own config, which keeps type and direction."""
    refined = replace(
        said,
        type=standing.type,
        direction=standing.direction,
        mutable=standing.mutable,
        sealed=standing.sealed,
        required=said.required or standing.required,
        title=said.title or standing.title,
        description=said.description or standing.description,
        item=said.item or standing.item,
        properties=said.properties or standing.properties,
        options=said.options or standing.options,
        underlying=said.underlying or standing.underlying,
        default=standing.default if isinstance(said.default, Missing) else said.default,
    )
    if standing.type is PortType.ANY and said.type is not PortType.ANY:
        return replace(refined, underlying=said)
    if said.type is PortType.OBJECT and isinstance(said.default, Missing):
        return _with_property_defaults(refined)
    return refined


def _with_property_defaults(config: PortConfig) -> PortConfig:
    """An object whose default is its type's, and under that the defaults of its properties."""
    defaults = {
        name: copy_value(part.default)
        for name, part in (config.properties or {}).items()
        if not isinstance(part.default, Missing)
    }
    if not defaults:
        return config
    own = {} if isinstance(config.default, Missing) else config.default
    return replace(config, default=merge(defaults, own))


_NO_BOUNDS: Mapping[str, Value] = {
    "min_length": None,
    "max_length": None,
    "pattern": None,
    "minimum": None,
    "maximum": None,
    "step": None,
    "integer": False,
}


def without_bounds(config: PortConfig) -> PortConfig:
    """The config without what bounds its values, at every level.

    The options of an enum stay: they are its type more than its bounds.
    """
    changes: dict[str, Any] = {
        name: silent for name, silent in _NO_BOUNDS.items() if getattr(config, name) != silent
    }
    for name in ("item", "underlying"):
        inner = getattr(config, name)
        if inner is not None:
            changes[name] = without_bounds(inner)
    if config.properties:
        changes["properties"] = {
            name: without_bounds(part) for name, part in config.properties.items()
        }
    return replace(config, **changes) if changes else config
