"""The rules of a run once more, as naively as they are written: everything is looked at anew.

Told in which order nodes settle, it says which could start, with which inputs, and which are
skipped. It shares the plan with the engine, and nothing else.
"""

from __future__ import annotations

import copy
from typing import Any

from app.flows.plan import Plan, PlanEdge
from app.values.ports import Direction

ERRORS = ("__error", "__errorMessage")


class Model:
    """What became of each node: `done` holds its outputs, or None where it was skipped."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.status: dict[int, str] = {}
        self.done: dict[int, dict[str, Any]] = {}
        self.ready: dict[int, dict[str, Any]] = {}
        for node in plan.nodes:
            if node.is_template:
                self._complete(node.index, dict(node.values), {})
        self._look()

    def complete(self, node: int, returned: dict[str, Any]) -> None:
        self._complete(node, self.ready.pop(node), returned)
        self._look()

    def fail(self, node: int, message: str) -> None:
        self.ready.pop(node)
        self.status[node] = "error"
        self.done[node] = {"__error": True, "__errorMessage": message}
        self._look()

    def end(self) -> None:
        """Nothing runs and nothing can start: what is left can't be fed any more."""
        for node in self.plan.nodes:
            self.status.setdefault(node.index, "skipped")

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

    def _look_at(self, node: int) -> bool:
        """Make a node ready, or skip it, where that can be said by now; whether it could."""
        if node in self.status or node in self.ready:
            return False
        ports: dict[Any, list[PlanEdge]] = {}
        for edge in self.plan.edges:
            if edge.target == node:
                ports.setdefault(edge.target_path, []).append(edge)
        resolved = {path: [e for e in edges if self._resolves(e)] for path, edges in ports.items()}
        if all(resolved.values()):
            self._admit(node, sorted((e[0] for e in resolved.values()), key=lambda e: e.index))
            return True
        dead = [all(e.source in self.status for e in ports[p]) for p in ports if not resolved[p]]
        if any(dead):
            self.status[node] = "skipped"
        return any(dead)

    def _resolves(self, edge: PlanEdge) -> bool:
        on_error = edge.source_path[0] in ERRORS
        return self.status.get(edge.source) == ("error" if on_error else "completed")

    def _admit(self, node: int, edges: list[PlanEdge]) -> None:
        values = copy.deepcopy(dict(self.plan.nodes[node].values))
        for edge in edges:
            value: Any = self.done[edge.source]
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
