"""Why nothing moves: what `waiting` of an execution's row says, in the shape of the API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from app.events.wire import timestamp
from app.executions.timers import SignalWait, Wait
from app.flows.plan import Plan
from app.values.ports import Value

#: Of the children that an execution waits for so many are named; a fan-out may have thousands.
MOST_NAMED = 100


def why_parked(
    wait: Wait | None,
    plan: Plan,
    sent: Iterable[str],
    children: Sequence[str],
    since: datetime,
) -> dict[str, Value]:
    """Why a run parks: the wait that ends first, steps that no worker ended, or children.

    A wait that no time ends is told of only where no step is under way.
    """
    step = next(iter(sent), None)
    if step is not None and (wait is None or wait.at is None):
        queue = plan.nodes[plan.index_of[step]].queue
        return _waiting("worker", since, {"nodeId": step, "queue": queue})
    if wait is None:
        detail: dict[str, Value] = {"childExecutionIds": list(children[:MOST_NAMED])}
        if len(children) > MOST_NAMED:
            detail["children"] = len(children)
        return _waiting("children", since, detail)
    until = None if wait.at is None else timestamp(wait.at)
    node_id = plan.nodes[wait.node].id
    match wait.plan:
        case None:
            return _waiting("retry", since, {"nodeId": node_id}, until)
        case SignalWait(name):
            return _waiting("signal", since, {"nodeId": node_id, "signal": name}, until)
        case _:
            return _waiting("timer", since, {"nodeId": node_id}, until)


def _waiting(
    kind: str, since: datetime, detail: dict[str, Value], until: str | None = None
) -> dict[str, Value]:
    return {"for": kind, "since": timestamp(since), "until": until, "detail": detail}
