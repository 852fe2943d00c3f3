"""Exports of ChainGraph v1 made into v2: ports as a list, named by their keys and paths.

What hasn't the shape of an export is left as it is: reading it says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.flows.reading import MAX_ID
from app.values.ports import Value

#: The keys of the system ports, which v2 keeps apart.
_SYSTEM_KEYS = frozenset({"execute", "success", "error", "errorMessage"})

#: Ports inside each other; what lies deeper keeps its id, and no edge finds it.
MAX_NESTING = 50

_VERSION = "schemaVersion"


def is_v1(raw: Mapping[str, Value]) -> bool:
    """Whether a document is an export of v1, or has nodes of one."""
    nodes = raw.get("nodes")
    return isinstance(nodes, list) and any(
        isinstance(holder, dict) and (holder.get(_VERSION) == "v1" or _has_v1_ports(holder))
        for holder in (raw.get("metadata"), *nodes)
    )


def migrate(raw: Mapping[str, Value]) -> dict[str, Value]:
    """Give the same document as an export of v2; `raw` stays as it is."""
    metadata = raw.get("metadata")
    nodes: list[Value] = []
    ids: dict[str, Mapping[str, str]] = {}
    for node in raw["nodes"]:
        if isinstance(node, dict) and isinstance(node.get("ports"), dict):
            ports = _Ports(node["ports"])
            ids[str(node.get("id"))] = ports.ids
            nodes.append({**node, **ports.as_v2(), _VERSION: "v2"})
        else:
            nodes.append(node)
    edges = raw.get("edges")
    return {
        **raw,
        "metadata": {**metadata, _VERSION: "v2"} if isinstance(metadata, dict) else metadata,
        "nodes": nodes,
        "edges": [_edge(edge, ids) for edge in edges] if isinstance(edges, list) else edges,
    }


def _has_v1_ports(node: Mapping[str, Value]) -> bool:
    """Whether ports are an object of `{config, value}`, or have ids like `key:PO…`."""
    ports = node.get("ports")
    return isinstance(ports, dict) and any(
        ":PO" in key or (isinstance(port, dict) and isinstance(port.get("config"), dict))
        for key, port in ports.items()
    )


def _edge(edge: Value, ids: Mapping[str, Mapping[str, str]]) -> Value:
    if not isinstance(edge, dict):
        return edge
    moved = dict(edge)
    for end in ("source", "target"):
        node, port = edge.get(f"{end}NodeId"), edge.get(f"{end}PortId")
        if isinstance(node, str) and isinstance(port, str):
            moved[f"{end}PortId"] = ids.get(node, {}).get(port, port)
    return moved


@dataclass(slots=True)
class _Port:
    """A port of v1 on its way: its config and value, which take up those of its children."""

    key: str
    config: dict[str, Any]
    rest: dict[str, Any]
    parent: str | None
    depth: int = 0
    #: Copies of what the document says, made once: a port may have a hundred thousand children.
    properties: dict[str, Any] | None = None
    fields: dict[str, Value] | None = None

    @property
    def is_array(self) -> bool:
        return self.config.get("type") == "array"

    def own_properties(self) -> dict[str, Any]:
        """The properties in its config, to be added to."""
        if self.properties is None:
            schema = self.config.get("schema")
            schema = schema if isinstance(schema, dict) else {}
            properties = schema.get("properties")
            self.properties = dict(properties) if isinstance(properties, dict) else {}
            self.config["schema"] = {**schema, "properties": self.properties}
        return self.properties

    def own_fields(self) -> dict[str, Value] | None:
        """Its value, to be added to; None where that is no object."""
        if self.fields is None:
            value = self.rest.get("value")
            if value is not None and not isinstance(value, dict):
                return None
            self.fields = self.rest["value"] = dict(value or {})
        return self.fields


class _Ports:
    """The ports of one node, by their old ids; `ids` gives the new ones."""

    def __init__(self, raw: Mapping[str, Value]) -> None:
        self._raw = raw
        self._ports: dict[str, _Port] = {}
        for old, port in raw.items():
            if isinstance(port, dict) and isinstance(port.get("config"), dict):
                self._ports[old] = _read(old, port)
        for port in self._ports.values():
            if port.parent not in self._ports:
                port.parent = None
        self.ids: dict[str, str] = {}
        for old in self._ports:
            self._name(old)

    def as_v2(self) -> dict[str, Value]:
        """The node's `ports` and `systemPorts`."""
        for old, port in sorted(self._ports.items(), key=lambda each: -each[1].depth):
            port.config["id"] = self.ids[old]
            if port.parent is not None and port.depth:
                _fold(port, self._ports[port.parent])
        roots = [port for port in self._ports.values() if not port.depth]
        no_ports = [port for old, port in self._raw.items() if old not in self._ports]
        return {
            "ports": [
                *({**port.rest, "config": port.config} for port in roots if not _is_system(port)),
                *no_ports,
            ],
            "systemPorts": {
                port.key: {"id": port.config["id"], **port.rest}
                for port in roots
                if _is_system(port)
            },
        }

    def _name(self, old: str) -> None:
        """Name a port after its parents, which are named first."""
        chain: list[str] = []
        step: str | None = old
        while step is not None and step not in self.ids and step not in chain:
            chain.append(step)
            if len(chain) > MAX_NESTING:
                break
            step = self._ports[step].parent
        for each in reversed(chain):
            port = self._ports[each]
            parent = self._ports.get(port.parent or "")
            if parent is None:
                self.ids[each] = f"__{port.key}" if _is_system(port) else port.key
            elif port.parent in self.ids and parent.depth < MAX_NESTING:
                port.depth = parent.depth + 1
                self.ids[each] = self._below(port.parent, port, parent.is_array) or each
            else:
                # Inside itself, or too deep.
                self.ids[each] = each

    def _below(self, parent: str, port: _Port, is_item: bool) -> str | None:
        """The id of a port inside another one; None where it is longer than any edge names.

        One long key must not stand in the ids of a hundred thousand children.
        """
        outer = self.ids[parent]
        if len(outer) + len(port.key) > 2 * MAX_ID:
            return None
        return f"{outer}[{port.key}]" if is_item else f"{outer}.{port.key}"


def _read(old: str, raw: Mapping[str, Value]) -> _Port:
    config = dict(raw["config"])
    key, parent = config.get("key"), config.get("parentId")
    return _Port(
        key=str(key) if isinstance(key, str | int) and key != "" else old.partition(":PO")[0],
        config=config,
        rest={name: value for name, value in raw.items() if name != "config"},
        parent=parent if isinstance(parent, str) else None,
    )


def _is_system(port: _Port) -> bool:
    return port.parent is None and port.key in _SYSTEM_KEYS


def _fold(child: _Port, parent: _Port) -> None:
    """Put a child's config and value into its parent's, where that doesn't say them itself."""
    if parent.is_array:
        parent.config.setdefault("itemConfig", child.config)
        return
    if parent.config.get("type") not in ("object", "any"):
        return
    parent.own_properties().setdefault(child.key, child.config)
    if "value" in child.rest and (fields := parent.own_fields()) is not None:
        fields.setdefault(child.key, child.rest["value"])
