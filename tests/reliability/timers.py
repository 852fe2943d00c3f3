"""10,000 timers that are due within one minute, and what else runs meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from statistics import median
from typing import Any, Self

import httpx

from tests.reliability import flows
from tests.reliability.place import BATCH, Outcome, Place
from tests.system.crew import Crew
from tests.waiting import wait_until

PROMISE = "10,000 timers due within one minute, p99 at most 100 ms late"

COUNT = 10_000
MINUTE_S = 60.0
WORKERS, SLOTS = 2, 4
#: W5 one after the other, to compare with; and how long (s) is between two.
ALONE, EVERY_S = 100, 0.1
PARKED_WITHIN_S, ENDS_WITHIN_S = 300.0, 300.0
#: Until the first is due passes so much more than setting them all took on the way here.
RESERVE = 1.6

_IDLE = """
    SELECT NOT EXISTS (SELECT FROM chaingraph_executions WHERE runnable_at IS NOT NULL)
        AND NOT EXISTS (SELECT FROM chaingraph_execution_claims WHERE status = 'active')
"""

#: (flow): id and time (s since 1970) at which each is due.
_DUE = """
    SELECT id, extract(epoch FROM wake_at)::float FROM chaingraph_executions
    WHERE flow_id = %s AND wake_at IS NOT NULL AND completed_at IS NULL
"""

#: (flow): id, time of its end, and how often its node started.
_ENDED = """
    SELECT id, extract(epoch FROM completed_at)::float, status, (
        SELECT count(*) FROM chaingraph_event_batches AS b, unnest(b.types) AS type
        WHERE b.execution_id = e.id AND type = 'node:started')
    FROM chaingraph_executions AS e WHERE flow_id = %s
"""

#: (flow): how long (ms) each took from its creation to its end.
_TOOK = """
    SELECT 1000 * extract(epoch FROM completed_at - created_at)::float
    FROM chaingraph_executions WHERE flow_id = %s AND created_at >= to_timestamp(%s)
"""


class Visitor:
    """Has a W5 run now and then, and notes how long each took (ms) from creation to end."""

    def __init__(self, here: Place, flow_id: str) -> None:
        self._here = here
        self._flow_id = flow_id
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._visit)
        self.began = time.time()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _visit(self) -> None:
        body = {"flowId": self._flow_id, "autostart": True}
        with httpx.Client(base_url=self._here.stack.url, timeout=60) as http:
            while not self._stop.wait(EVERY_S):
                http.post("/api/v1/executions", json=body).raise_for_status()


def measure(here: Place) -> Outcome:
    """Set them, wait for them, and see how late each was."""
    Crew(here.stack, concurrency=SLOTS).muster(WORKERS)
    w5, nap = here.stack.store(flows.w5()), here.stack.store(flows.lone_nap())
    before = _alone(here, w5)
    _set(here, nap)
    due: dict[str, float] = dict(here.ask(_DUE, nap))
    with Visitor(here, w5) as visitor:
        here_first = min(due.values())
        wait_until(lambda: time.time() > here_first, "the first is due", PARKED_WITHIN_S)
        began = time.time()
        wait_until(lambda: time.time() > max(due.values()), "the last is due", PARKED_WITHIN_S)
    here.await_all_ended(ENDS_WITHIN_S)
    meanwhile = _took(here, w5, max(visitor.began, began))
    return _judge(here, nap, due, before, meanwhile)


def _alone(here: Place, flow_id: str) -> list[float]:
    """How long (ms) W5 takes with nothing else to do."""
    began = time.time()
    with Visitor(here, flow_id):
        wait_until(
            lambda: len(_took(here, flow_id, began)) >= here.scaled(ALONE),
            "all came",
            PARKED_WITHIN_S,
        )
    here.await_all_ended(ENDS_WITHIN_S)
    return _took(here, flow_id, began)


def _took(here: Place, flow_id: str, since: float) -> list[float]:
    return [took for (took,) in here.ask(_TOOK, flow_id, since) if took is not None]


def _set(here: Place, flow_id: str) -> None:
    """Set the timers, part by part, so that each is set about when it was meant to be."""
    count = here.scaled(COUNT, BATCH)
    parts = count // BATCH
    began = time.monotonic()
    _set_part(here, flow_id, [MINUTE_S * 10 * 1000] * BATCH)
    # These were only to see how long it takes: they are stopped, and don't count.
    took_s = time.monotonic() - began
    here.stack.http.post(
        "/api/v1/executions/bulk", json={"action": "stop", "filter": {"flowId": flow_id}}
    ).raise_for_status()
    here.await_all_ended(ENDS_WITHIN_S)
    first_at = time.monotonic() + took_s * parts * RESERVE + 5
    for part in range(parts):
        now = time.monotonic()
        places = range(part * BATCH, (part + 1) * BATCH)
        _set_part(here, flow_id, [(first_at + MINUTE_S * n / COUNT - now) * 1000 for n in places])


def _set_part(here: Place, flow_id: str, durations: Sequence[float]) -> None:
    items: list[dict[str, Any]] = [
        {"flowId": flow_id, "autostart": True, "inputs": {"nap": {"duration": round(ms)}}}
        for ms in durations
    ]
    here.create(items)
    wait_until(lambda: here.ask(_IDLE) == [(True,)], "all of them sleep", PARKED_WITHIN_S)


def _judge(
    here: Place,
    flow_id: str,
    due: dict[str, float],
    before: Sequence[float],
    meanwhile: Sequence[float],
) -> Outcome:
    outcome = Outcome()
    wanted = here.scaled(COUNT, BATCH)
    outcome.hold(len(due) == wanted, f"{len(due)} of {wanted} slept before the first was due")
    late: list[float] = []
    for id_, ended, status, starts in here.ask(_ENDED, flow_id):
        if id_ in due:
            outcome.hold((status, starts) == ("completed", 1), f"{id_}: {status}, {starts} starts")
            late.append((ended - due[id_]) * 1000)
    early = [each for each in late if each < -1]
    outcome.hold(not early, f"{len(early)} fired too early")
    spread_s = max(due.values()) - min(due.values())
    outcome.figures = [
        (
            f"{len(late):,} timers in {spread_s:.0f} s, from due to the end of their executions:"
            f" p50 {_percentile(late, 50):.0f} ms, p99 {_percentile(late, 99):.0f} ms,"
            f" max {max(late):.0f} ms"
        ),
        (
            f"W5 alone: p50 {median(before):.0f} ms, p99 {_percentile(before, 99):.0f} ms;"
            f" while they fire: p50 {median(meanwhile):.0f} ms,"
            f" p99 {_percentile(meanwhile, 99):.0f} ms"
        ),
    ]
    return outcome


def _percentile(samples: Sequence[float], percent: int) -> float:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
