"""Why nothing moves: what `waiting` of an execution's row says, in the shape of the API."""

from __future__ import annotations

from datetime import datetime

from app.events.wire import timestamp
from app.executions.timers import Wait
from app.values.ports import Value


def for_timer(wait: Wait, node_id: str, since: datetime) -> dict[str, Value]:
    """A node sleeps, or waits for its next attempt."""
    kind = "retry" if wait.sleep is None else "timer"
    return _waiting(kind, since, {"nodeId": node_id}, until=timestamp(wait.at))


def for_worker(node_id: str, since: datetime) -> dict[str, Value]:
    """A sent step waits for a worker to take it, or to end it."""
    return _waiting("worker", since, {"nodeId": node_id, "queue": "default"})


def _waiting(
    kind: str, since: datetime, detail: dict[str, Value], until: str | None = None
) -> dict[str, Value]:
    return {"for": kind, "since": timestamp(since), "until": until, "detail": detail}
