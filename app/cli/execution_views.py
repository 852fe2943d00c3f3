"""Executions and what belongs to them, as rows of tables and as facts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.cli.tables import Cell, status_cell
from app.cli.words import (
    counts,
    duration,
    moment,
    node_outcome,
    node_took,
    settled,
    took,
    why,
    written_moment,
)
from app.client import Execution, Member, Node, Recovery

#: Characters of outputs that a table shows.
LONGEST_OUTCOME = 100

EXECUTION_HEADINGS = ("ID", "STATUS", "FLOW", "NODES", "CREATED", "TOOK", "WHY")
NODE_HEADINGS = ("ID", "TYPE", "STATUS", "ATTEMPT", "TOOK", "OUTCOME")
RECOVERY_HEADINGS = ("AT", "REASON", "STATUS", "TAKEN FROM", "BY")

Facts = Iterator[tuple[str, Cell]]


def execution_row(execution: Execution) -> Sequence[Cell]:
    """An execution in a list."""
    return (
        execution.id,
        status_cell(execution.status),
        execution.flow_id,
        settled(execution),
        moment(execution.created_at),
        took(execution),
        why(execution),
    )


def execution_facts(execution: Execution) -> Facts:
    """All that there is to say about one execution but its outputs."""
    raw = execution.raw
    yield "id", execution.id
    yield "status", status_cell(execution.status)
    yield "why", why(execution)
    yield "flow", f"{execution.flow_id} version {execution.flow_version}"
    yield "nodes", f"{settled(execution)} ({counts(execution)})"
    yield "created", moment(execution.created_at)
    yield "started", moment(execution.started_at)
    yield "ended", moment(execution.completed_at)
    yield "took", took(execution)
    yield "worker", raw.get("processingWorkerId") or ""
    yield "losses", _losses(execution)
    yield "parent", raw.get("parentExecutionId") or ""
    yield "events", f"-1 to {execution.last_event_index}"


def member_rows(members: Sequence[Member]) -> Iterator[Sequence[Cell]]:
    """A tree from its top down, each execution below its parent and further in."""
    below: dict[str | None, list[Member]] = {}
    for member in members:
        below.setdefault(member.parent_id, []).append(member)
    # Its top may itself have a parent, which is not among them.
    left = [member for member in members if member.level == 0]
    while left:
        member = left.pop()
        _, *rest = execution_row(member.execution)
        yield ("  " * member.level + member.execution.id, *rest)
        left.extend(reversed(below.get(member.execution.id, ())))


def node_row(node: Node) -> Sequence[Cell]:
    """A node of an execution in a list."""
    return (
        node.id,
        node.type,
        status_cell(node.status),
        str(node.attempt or ""),
        node_took(node),
        node_outcome(node, longest=LONGEST_OUTCOME),
    )


def node_facts(node: Node) -> Facts:
    """All that there is to say about one node but its values."""
    raw = node.raw
    yield "id", node.id
    yield "type", node.type
    yield "status", status_cell(node.status)
    yield "attempt", str(node.attempt or "")
    yield "started", written_moment(raw.get("startedAt"))
    yield "ended", written_moment(raw.get("completedAt"))
    yield "took", duration(raw.get("executionTimeMs"))
    yield "goes on at", written_moment(raw.get("retryAt"))
    yield "worker", raw.get("workerId") or ""
    yield "error", node_outcome(node, longest=LONGEST_OUTCOME) if node.error else ""


def recovery_row(recovery: Recovery) -> Sequence[Cell]:
    """One time that an execution was taken from its owner."""
    return (
        moment(recovery.recovered_at),
        recovery.reason,
        status_cell(recovery.previous_status),
        recovery.previous_worker_id or "",
        recovery.recovered_by_worker,
    )


def _losses(execution: Execution) -> str:
    raw = execution.raw
    count = raw.get("failureCount") or 0
    if not count:
        return ""
    return f"{count}, last {raw.get('lastFailureReason')} {written_moment(raw['lastFailureAt'])}"
