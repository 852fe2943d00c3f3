"""The rules of a run once more, as naively as they are written: everything is looked at anew.

Told in which order nodes settle, it says which could start, with which inputs, and which are
skipped. It shares the plan with the engine, and nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from app.flows.plan import Plan, PlanEdge
from app.values.ports import Direction

ERRORS = ("__error", "__errorMessage")


class Model:
    """What became of each node: `done` holds its outputs, or None where it was skipped."""

    def __init__(self, plan: Plan, event: str | None = None) -> None:
        self.plan = plan
        self.status: dict[int, str] = dict.fromkeys(idle(plan, event), "idle")
        self.done: dict[int, dict[str, Any]] = {}
        self.ready: dict[int, dict[str, Any]] = {}
        self.given: dict[int, dict[str, Any]] = {}
        for node in plan.nodes:
            if node.is_template and node.index not in self.status:
                self._complete(node.index, dict(node.values), {})
        self._look()

    def give(self, node: int, outputs: dict[str, Any]) -> None:
        self.given[node] = {**outputs, **self.given.get(node, {})}
        self._look()

    def complete(self, node: int, returned: dict[str, Any]) -> None:
        self._complete(node, self.ready.pop(node), returned)
        self._look()

    def fail(self, node: int, message: str) -> None:
        self.ready.pop(node)
        self.status[node] = "error"
        self.done[node] = {"__error": True, "__errorMessage": message}
        self._look()

    def own_outputs(self, node: int) -> dict[str, Any]:
        return {port: value for port, value in self.done[node].items() if port[:2] != "__"}

    def _complete(self, node: int, held: dict[str, Any], returned: dict[str, Any]) -> None:
        outputs = {
            port: returned.get(port, held.get(port))
            for port, config in self.plan.nodes[node].ports.items()
            if config.direction is not Direction.INPUT and not port.startswith("__")
        }
        self.status[node] = "completed"
        self.done[node] = {"__success": True, **outputs}

    def _look(self) -> None:
        found = [True]
        while any(found):
            found = [self._look_at(node.index) for node in self.plan.nodes]
            if not any(found) and not self.ready:
                # Nothing runs and nothing can start: what is left can't be fed any more.
                found = [self._skip_the_unfed()]

    def _skip_the_unfed(self) -> bool:
        left = [node.index for node in self.plan.nodes if node.index not in self.status]
        waits = {node: [p for p in self._ports(node).values() if not self._any(p)] for node in left}
        coming: set[int] = set()
        for _ in left:
            coming |= {
                node
                for node, ports in waits.items()
                if all(any(edge.source in coming for edge in edges) for edges in ports)
            }
        unfed = set(left) - coming or {node for node, ports in waits.items() if ports}
        self.status |= dict.fromkeys(unfed, "skipped")
        return bool(unfed)

    def _ports(self, node: int) -> dict[Any, list[PlanEdge]]:
        ports: dict[Any, list[PlanEdge]] = {}
        for edge in self.plan.edges:
            if edge.target == node:
                ports.setdefault(edge.target_path, []).append(edge)
        return ports

    def _any(self, edges: list[PlanEdge]) -> bool:
        return any(self._resolves(edge) for edge in edges)

    def _has_members_left(self, node: int) -> bool:
        return is_open_group(self.plan, node) and any(
            each.parent == node and each.index not in self.status for each in self.plan.nodes
        )

    def _look_at(self, node: int) -> bool:
        """Make a node ready, or skip it, where that can be said by now; whether it could."""
        if node in self.status or node in self.ready:
            return False
        ports = self._ports(node)
        resolved = {path: [e for e in edges if self._resolves(e)] for path, edges in ports.items()}
        if all(resolved.values()):
            if self._has_members_left(node):
                return False
            self._admit(node, sorted((e[0] for e in resolved.values()), key=lambda e: e.index))
            return True
        dead = [all(e.source in self.status for e in ports[p]) for p in ports if not resolved[p]]
        if any(dead):
            self.status[node] = "skipped"
        return any(dead)

    def _resolves(self, edge: PlanEdge) -> bool:
        if edge.source_path[0] in self.given.get(edge.source, {}):
            # Whoever takes a stream as a value waits for its end.
            is_early = edge.source_path != ("items",) or edge.target_path == ("stream",)
            if is_early or self.status.get(edge.source) == "completed":
                return True
        on_error = edge.source_path[0] in ERRORS
        return self.status.get(edge.source) == ("error" if on_error else "completed")

    def _admit(self, node: int, edges: list[PlanEdge]) -> None:
        values = copy.deepcopy(dict(self.plan.nodes[node].values))
        for edge in edges:
            value: Any = {**self.given.get(edge.source, {}), **self.done.get(edge.source, {})}
            for step in edge.source_path:
                value = value[step]
            if value is None and edge.target_path == ("need",):
                self.status[node] = "skipped"
                return
            _put(values, list(edge.target_path), copy.deepcopy(value))
        if values.get("__execute", True) is True:
            self.ready[node] = values
        else:
            self.status[node] = "skipped"


def is_open_group(plan: Plan, node: int | None) -> bool:
    return node is not None and plan.nodes[node].is_group and not plan.nodes[node].is_template


def idle(plan: Plan, event: str | None) -> set[int]:
    """The nodes that take no part: bound to another event, or groups with nobody in them."""
    names = {node.event for node in plan.nodes if node.event is not None}
    every = {node.index for node in plan.nodes}
    if event is None:
        taking = every.difference(*(bound(plan, name) for name in names))
    else:
        others = {node.index for node in plan.nodes if node.event not in (None, event)}
        taking = bound(plan, event) - others
    taking = {node for node in taking if not is_open_group(plan, node)}
    for _ in plan.nodes:
        held = {plan.nodes[node].parent for node in taking}
        taking |= {group for group in held if group is not None and is_open_group(plan, group)}
    return every - taking


def bound(plan: Plan, name: str) -> set[int]:
    """What is bound to an event."""
    own = {node.index for node in plan.nodes if node.event == name}
    others = {node.index for node in plan.nodes if node.event is not None} - own
    up = closure(own, lambda node: [e.source for e in plan.edges if e.target == node])
    down = closure(own, lambda node: [e.target for e in plan.edges if e.source == node])
    return up | closure(
        down, lambda node: [e.source for e in plan.edges if e.target == node and node not in others]
    )


def closure(start: Iterable[int], steps: Callable[[int], list[int]]) -> set[int]:
    reached = set(start)
    while more := {step for node in reached for step in steps(node)} - reached:
        reached |= more
    return reached


def _put(holder: Any, path: list[Any], value: Any) -> None:
    step, *rest = path
    if isinstance(holder, list):
        holder.extend([None] * (step + 1 - len(holder)))
    standing = holder[step] if isinstance(holder, list) else holder.get(step)
    if rest:
        if not isinstance(standing, list if isinstance(rest[0], int) else dict):
            standing = holder[step] = [] if isinstance(rest[0], int) else {}
        _put(standing, rest, value)
    elif isinstance(standing, dict) and isinstance(value, dict):
        for key, item in value.items():
            _put(standing, [key], item)
    else:
        holder[step] = value
