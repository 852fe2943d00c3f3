"""Secrets in documents and inputs: sealed on their way in, their masks put back into what they were.

Where they stand is what the ports say; encrypting itself is the caller's (`Seal`).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import replace
from itertools import zip_longest

from app.flows.compile import Prepared
from app.flows.document import Form
from app.flows.plan import Plan
from app.flows.shaping import Ports
from app.flows.storing import locate
from app.values.ports import PortConfig, PortType, Value
from app.values.secrets import MASK, Seal, is_sealed, sealed

_SECRET = PortConfig(PortType.SECRET)


def seal_document(prepared: Prepared, seal: Seal) -> Mapping[str, Value]:
    """The document with every secret that it holds sealed; itself, where no port is for any."""
    document, plan = prepared.document, prepared.plan
    # An export describes each port: one that its type doesn't have is kept, also as a secret.
    if not plan.holds_secrets and document.form is Form.NATIVE:
        return document.raw
    nodes = list(document.raw["nodes"])
    for node in plan.nodes:
        if node.holds_secrets or document.form is Form.EXPORT:
            place = document.nodes[node.index].index
            nodes[place] = _sealed_node(nodes[place], node.ports, seal)
    return {**document.raw, "nodes": nodes}


def seal_inputs(
    plan: Plan, inputs: Mapping[str, Mapping[str, Value]], seal: Seal
) -> dict[str, dict[str, Value]]:
    """The inputs of one run with every secret in them sealed; they fit the plan."""
    return {
        node_id: _sealed_values(given, plan.nodes[plan.index_of[node_id]].ports, seal)
        for node_id, given in inputs.items()
    }


def _sealed_node(raw: Mapping[str, Value], ports: Ports, seal: Seal) -> dict[str, Value]:
    node = dict(raw)
    if isinstance(values := raw.get("values"), dict):
        node["values"] = _sealed_values(values, ports, seal)
    match raw.get("ports"):
        case dict() as configs:
            node["ports"] = {
                port: _sealed_config(config, ports.get(port), seal)
                for port, config in configs.items()
            }
        case list() as exported:
            node["ports"] = [_sealed_port(port, ports, seal) for port in exported]
    return node


def _sealed_values(values: Mapping[str, Value], ports: Ports, seal: Seal) -> dict[str, Value]:
    """Values by port id or path."""
    return {
        name: value if (config := _config_of(name, ports)) is None else sealed(config, value, seal)
        for name, value in values.items()
    }


def _config_of(name: str, ports: Ports) -> PortConfig | None:
    place = locate(ports, name)
    if place is None:
        return None
    path, config = place
    return replace(config, sealed=True) if ports[str(path[0])].sealed else config


def _sealed_port(raw: Value, ports: Ports, seal: Seal) -> Value:
    """A port of an export: its value, and the defaults in its config."""
    if not isinstance(raw, dict) or not isinstance(described := raw.get("config"), dict):
        return raw
    config = _config_of(str(described.get("id", described.get("key"))), ports)
    if config is None and described.get("type") == PortType.SECRET:
        config = _SECRET
    if config is None:
        return raw
    port = {**raw, "config": _sealed_config(described, config, seal)}
    if "value" in raw:
        port["value"] = sealed(config, raw["value"], seal)
    return port


def _sealed_config(raw: Value, config: PortConfig | None, seal: Seal) -> Value:
    """A config as it is written, its default sealed, and those of the places inside it."""
    if not isinstance(raw, dict) or config is None:
        return raw

    def inner(part: Value, said: PortConfig | None) -> Value:
        inherited = replace(said, sealed=said.sealed or config.sealed) if said else None
        return _sealed_config(part, inherited, seal)

    written = dict(raw)
    if "defaultValue" in raw:
        written["defaultValue"] = sealed(config, raw["defaultValue"], seal)
    for key, said in (("itemConfig", config.item), ("underlyingType", config.underlying)):
        if key in raw:
            written[key] = inner(raw[key], said)
    if isinstance(schema := raw.get("schema"), dict) and isinstance(
        parts := schema.get("properties"), dict
    ):
        known = config.properties or {}
        described = {name: inner(part, known.get(name)) for name, part in parts.items()}
        written["schema"] = {**schema, "properties": described}
    return written


def holds_mask(raw: Value) -> bool:
    """Whether a mask stands anywhere in a document."""
    pending = [raw]
    while pending:
        value = pending.pop()
        if value == MASK:
            return True
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return False


def restore_masks(raw: Mapping[str, Value], former: Mapping[str, Value]) -> dict[str, Value]:
    """The document with each mask replaced by the sealed text that stood in its place before.

    The place is the same one of the node with the same id; a mask without such a text stays.
    What stood there is looked at once: of nodes with one id the first takes it.
    """
    nodes = raw.get("nodes")
    if not isinstance(nodes, list):
        return dict(raw)
    stood = {node["id"]: node for node in former["nodes"]}
    return {**raw, "nodes": [_restored(node, stood.pop(_id_of(node), None)) for node in nodes]}


def _id_of(node: Value) -> str | None:
    node_id = node.get("id") if isinstance(node, dict) else None
    return node_id if isinstance(node_id, str) else None


def _restored(new: Value, old: Value) -> Value:
    if new == MASK:
        return old if is_sealed(old) else new
    if isinstance(new, dict) and isinstance(old, dict):
        return {key: _restored(part, old.get(key)) for key, part in new.items()}
    if isinstance(new, list) and isinstance(old, list):
        return _restored_items(new, old)
    return new


def _restored_items(new: list[Value], old: list[Value]) -> list[Value]:
    """Items that describe ports find theirs by name, the others by their places."""
    named: dict[str, deque[Value]] = defaultdict(deque)
    for part in old:
        if (name := _port_of(part)) is not None:
            named[name].append(part)
    restored: list[Value] = []
    for part, same_place in zip_longest(new, old[: len(new)]):
        stood = same_place
        if (name := _port_of(part)) is not None:
            stood = named[name].popleft() if named.get(name) else None
        restored.append(_restored(part, stood))
    return restored


def _port_of(part: Value) -> str | None:
    """Which port an entry of an export's list describes."""
    config = part.get("config") if isinstance(part, dict) else None
    port = config.get("id", config.get("key")) if isinstance(config, dict) else None
    return port if isinstance(port, str) else None
