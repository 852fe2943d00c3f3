"""What differs between two versions of a flow, as far as what its nodes come to goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.events.wire import to_json
from app.flows.plan import Plan, PlanNode


def changed_nodes(old: Plan, new: Plan) -> Iterator[int]:
    """The nodes of `new` that `old` doesn't have in the same form, by number.

    A node's form is its type, its ports, what is stored in them, and the edges that lead into
    them; a group's, also which nodes it holds. How often and how long it is tried is no part of it.
    """
    old_members, new_members = _members(old), _members(new)
    for node in new.nodes:
        former = old.index_of.get(node.id)
        if former is None or _form(old, old.nodes[former]) != _form(new, node):
            yield node.index
            continue
        if node.is_group and old_members.get(former) != new_members.get(node.index):
            yield node.index


def _members(plan: Plan) -> dict[int, set[str]]:
    """What stands in each node, by id."""
    members: dict[int, set[str]] = {}
    for node in plan.nodes:
        if node.parent is not None:
            members.setdefault(node.parent, set()).add(node.id)
    return members


def _form(plan: Plan, node: PlanNode) -> tuple[Any, ...]:
    return (
        node.type,
        node.event,
        node.is_template,
        node.is_group,
        node.ports,
        # As text: to Python 1, 1.0 and true are equal.
        to_json(dict(sorted(node.values.items()))),
        [
            (port.path, port.config, [_source(plan, edge) for edge in port.edges])
            for port in node.in_ports
        ],
    )


def _source(plan: Plan, edge: int) -> tuple[Any, ...]:
    return plan.nodes[plan.edges[edge].source].id, plan.edges[edge].source_path
