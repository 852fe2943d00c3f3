"""What the statement of the census does (app.store.census)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from app.local.turn import Handler, Rows, Turn
from app.store.census import CENSUS


def census(turn: Turn) -> Rows:
    """Count everything."""
    tables = turn.tables
    executions = tables.executions.values()
    runnable = [row.runnable_at for row in executions if row.runnable_at is not None]
    timers = [row.wake_at for row in executions if row.wake_at is not None]
    active = Counter(bool(claim.node_id) for claim in turn.claims() if claim.status == "active")
    waiting = Counter(
        claim.queue or ""
        for claim in turn.claims()
        if claim.node_id and claim.status != "active" and claim.result is None
    )
    workers = [row for row in tables.workers.values() if row.parent_worker_id is None]
    rows: Rows = [
        ("executions", *each) for each in Counter(row.status for row in executions).items()
    ]
    rows += [("steps_waiting", queue, count) for queue, count in waiting.items()]
    rows += [
        ("runnable", "", len(runnable)),
        ("runnable_oldest", "", _age_s(turn, runnable)),
        ("timers", "", len(timers)),
        ("timers_overdue", "", _age_s(turn, timers)),
        ("claims", "execution", active[False]),
        ("claims", "step", active[True]),
        ("workers", "", len(workers)),
        ("slots", "", sum(row.concurrency for row in workers)),
    ]
    if tables.beat is not None:
        rows.append(("sweep_age", "", (turn.at - tables.beat.swept_at).total_seconds()))
    return rows


def _age_s(turn: Turn, times: Iterable[datetime]) -> float:
    """How long ago the first of these was; 0 if it is yet to come, or there is none."""
    return max(0.0, (turn.at - min(times, default=turn.at)).total_seconds())


HANDLERS: Mapping[str, Handler] = {CENSUS.name: census}
