"""An event as one line for people: when, what, which node, and what matters of the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from app.client import Event

#: Characters of a value that is shown on a line, at most.
LONGEST_VALUE = 100
TYPE_WIDTH = 24

Data = Mapping[str, Any]


def event_line(event: Event) -> str:
    """Write an event as one line without a line break at its end."""
    at = event.timestamp.astimezone().strftime("%H:%M:%S.%f")[:-3]
    where = event.data.get("nodeId") or event.data.get("childExecutionId") or ""
    essentials = _ESSENTIALS.get(event.type, _nothing)(event.data)
    parts = (at, event.type.ljust(TYPE_WIDTH), str(where), essentials)
    return printable("  ".join(part for part in parts if part)).rstrip()


def short(value: Any) -> str:
    """A value as JSON, cut off where it gets long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would act on: values come from anywhere."""
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def _nothing(_data: Data) -> str:
    return ""


def _started(data: Data) -> str:
    attempt = data.get("attempt", 1)
    return f"{data.get('nodeType', '')}{f', attempt {attempt}' if attempt > 1 else ''}"


def _completed(data: Data) -> str:
    outputs = data.get("outputs")
    return f"{data.get('executionTimeMs')} ms{f'  {short(outputs)}' if outputs else ''}"


def _failed(data: Data) -> str:
    error = data.get("error") or {}
    again = f", again at {data.get('retryAt')}" if data.get("willRetry") else ""
    return f"{error.get('type')}: {error.get('message')}{again}"


def _logged(data: Data) -> str:
    level = data.get("level")
    return f"{data.get('log')}{'' if level == 'info' else f'  ({level})'}"


def _progressed(data: Data) -> str:
    return f"{data.get('progress', 0):.0%}  {data.get('message', '')}"


def _not_transferred(data: Data) -> str:
    source = f"{data.get('sourceNodeId')}.{data.get('sourcePortId')}"
    target = f"{data.get('targetNodeId')}.{data.get('targetPortId')}"
    return f"{source} → {target}: {_text_of(data.get('error'))}"


def _chunk(data: Data) -> str:
    return f"{data.get('portId')}  {short(data.get('items'))}"


def _reason(data: Data) -> str:
    return str(data.get("reason") or "")


def _error(data: Data) -> str:
    return _text_of(data.get("error"))


def _text_of(error: Any) -> str:
    if isinstance(error, dict):
        return str(error.get("message", ""))
    return "" if error is None else str(error)


_ESSENTIALS: Mapping[str, Callable[[Data], str]] = {
    "node:started": _started,
    "node:completed": _completed,
    "node:failed": _failed,
    "node:skipped": _reason,
    "node:debug-log-string": _logged,
    "node:progress": _progressed,
    "node:stream-chunk": _chunk,
    "node:status-changed": lambda data: f"{data.get('oldStatus')} → {data.get('newStatus')}",
    "port:updated": lambda data: f"{data.get('portId')} = {short(data.get('value'))}",
    "edge:transfer-failed": _not_transferred,
    "flow:paused": _reason,
    "flow:failed": _error,
    "flow:cancelled": _reason,
    "child:failed": _error,
    "execution:recovered": _reason,
    "execution:completed": lambda data: f"{data.get('executionTimeMs')} ms",
    "execution:failed": lambda data: str(data.get("errorMessage") or ""),
    "execution:stopped": _reason,
}
