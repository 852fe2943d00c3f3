"""Who takes part in a run: what its event binds, and the groups around that.

The rules are those of docs/flows.md, "Events from outside" and rule 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.flows.plan import Plan

#: The parent of a node that is in no group.
NO_GROUP = -1


@dataclass(frozen=True, slots=True)
class Participation:
    """Who takes part: all but `idle`, `total` in number.

    `members` says of how many children each group waits to settle, by the group's number.
    """

    idle: tuple[int, ...]
    total: int
    members: dict[int, int]


def groups_of(plan: Plan) -> list[int]:
    """For each node the group whose child it is, or NO_GROUP."""
    return [
        NO_GROUP if parent is None or not _is_open(plan, parent) else parent
        for parent in (node.parent for node in plan.nodes)
    ]


def participation(plan: Plan, group_of: list[int], event: str | None) -> Participation:
    """Who takes part in a run for this event (None: for none), in linear time."""
    takes_part = _taking_part(plan, event)
    members: dict[int, int] = {}
    if any(node.is_group for node in plan.nodes):
        _count_groups(plan, group_of, takes_part, members)
    idle = tuple(node for node, is_in in enumerate(takes_part) if not is_in)
    return Participation(idle, len(takes_part) - len(idle), members)


def _is_open(plan: Plan, parent: int) -> bool:
    """Whether a parent runs after its children; one that is itself a template doesn't run."""
    return plan.nodes[parent].is_group and not plan.nodes[parent].is_template


def _count_groups(
    plan: Plan, group_of: list[int], takes_part: list[bool], members: dict[int, int]
) -> None:
    """Let a group take part if one of its children does; count those children."""
    for node in plan.nodes:
        if _is_open(plan, node.index):
            takes_part[node.index] = False
    counted = [number for number, is_in in enumerate(takes_part) if is_in]
    for child in counted:
        group = group_of[child]
        if group != NO_GROUP:
            members[group] = members.get(group, 0) + 1
            if not takes_part[group]:
                takes_part[group] = True
                counted.append(group)


def _taking_part(plan: Plan, event: str | None) -> list[bool]:
    listeners = [node.index for node in plan.nodes if node.event is not None]
    if event is None:
        bound = _bound(plan, listeners)
        return [node.index not in bound for node in plan.nodes]
    bound = _bound(plan, [node for node in listeners if plan.nodes[node].event == event])
    return [
        node.index in bound and (node.event is None or node.event == event) for node in plan.nodes
    ]


def _bound(plan: Plan, listeners: list[int]) -> set[int]:
    """What is upstream and downstream of these listeners, and what feeds the downstream part.

    For the listeners of all events at once it is what is bound to any of them: feeders of
    one event's part that lie beyond another's listener are upstream of that.
    """
    own = set(listeners)

    def sources(node: int) -> Iterable[int]:
        ports = plan.nodes[node].in_ports
        return (plan.edges[edge].source for port in ports for edge in port.edges)

    def targets(node: int) -> Iterable[int]:
        return (plan.edges[edge].target for edge in plan.nodes[node].out_edges)

    def feeders(node: int) -> Iterable[int]:
        is_other_listener = plan.nodes[node].event is not None and node not in own
        return () if is_other_listener else sources(node)

    downstream = _reached(listeners, targets)
    return _reached(listeners, sources) | _reached(downstream, feeders)


def _reached(start: Iterable[int], steps: Callable[[int], Iterable[int]]) -> set[int]:
    seen = set(start)
    todo = list(seen)
    while todo:
        for node in steps(todo.pop()):
            if node not in seen:
                seen.add(node)
                todo.append(node)
    return seen
