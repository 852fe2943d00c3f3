"""What the API answers, in words: times, durations, why nothing moves. Pure."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from app.cli.event_lines import printable
from app.client import Execution, Node
from app.client.shapes import Json

#: Milliseconds of each unit, the longest first.
_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


def moment(at: datetime | None) -> str:
    """A time where the reader is, to the second."""
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def written_moment(raw: str | None) -> str:
    """The same of a time as JSON has it."""
    return "" if raw is None else moment(datetime.fromisoformat(raw))


def duration(ms: float | None) -> str:
    """So many milliseconds in the unit that fits, to two or three digits."""
    if ms is None:
        return ""
    for unit_ms, unit in _UNITS:
        if ms >= unit_ms:
            return f"{ms / unit_ms:.3g} {unit}"
    return f"{ms:.0f} ms"


def took(execution: Execution) -> str:
    """How long a finished execution ran."""
    if execution.started_at is None or execution.completed_at is None:
        return ""
    return duration((execution.completed_at - execution.started_at).total_seconds() * 1000)


def settled(execution: Execution) -> str:
    """How many of its nodes are done with."""
    return f"{execution.progress.settled}/{execution.progress.total}"


def counts(execution: Execution) -> str:
    """How its nodes ended, as far as they have."""
    progress = execution.progress
    named = {
        "completed": progress.completed,
        "failed": progress.failed,
        "skipped": progress.skipped,
    }
    ended = [f"{count} {name}" for name, count in named.items() if count or name == "completed"]
    return ", ".join(ended)


def why(execution: Execution) -> str:
    """Why it ended as it did, or why nothing moves, if there is a reason."""
    if execution.error_message:
        at = f" (node {execution.error_node_id})" if execution.error_node_id else ""
        return f"{execution.error_message}{at}"
    said = []
    if execution.requested is not None:
        said.append(f"{execution.requested} requested")
    if execution.waiting is not None:
        said.append(f"waits for {waits_for(execution.waiting)}")
    return ", ".join(said)


def waits_for(waiting: Json) -> str:
    """What an execution waits for, until when, and the details."""
    until = waiting.get("until")
    parts = [str(waiting.get("for"))]
    parts += [f"until {written_moment(until)}"] if until else []
    parts += [f"{name} {_plain(value)}" for name, value in (waiting.get("detail") or {}).items()]
    return " ".join(parts)


def node_took(node: Node) -> str:
    """How long its last attempt took."""
    return duration(node.raw.get("executionTimeMs"))


def node_outcome(node: Node, *, longest: int) -> str:
    """What came of a node: its error, when it goes on, or its outputs in so many characters."""
    if node.error:
        return f"{node.error.get('type')}: {node.error.get('message')}"
    retry_at = node.raw.get("retryAt")
    if retry_at:
        return f"goes on at {written_moment(retry_at)}"
    if not node.outputs:
        return ""
    text = json.dumps(node.outputs, ensure_ascii=False)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def assigned(name: str, value: Any) -> str:
    """A name and its value; lines of a text stay lines, indented below the first."""
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # One break at the end is none.
    lines = shown.removesuffix("\n").split("\n")
    return f"{printable(name)} = " + "\n    ".join(printable(line) for line in lines)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
