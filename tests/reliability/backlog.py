"""20,000 executions are queued at once, for one worker."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Self

import httpx
from redis import Redis

from tests.reliability import flows
from tests.reliability.place import BATCH, Outcome, Place
from tests.system.crew import Crew

PROMISE = "20,000 executions queued, one worker"

COUNT = 20_000
SLOTS = 4
#: Clients that send them at the same time.
CLIENTS = 4
#: Between two looks at the broker's queue (s).
LOOK_S = 0.002
ENDS_WITHIN_S = 900.0

QUEUE = "cg:celery:default"

#: (flow): completions per second of each fifth, in the order of completion.
_PACE = """
    SELECT count(*) / extract(epoch FROM max(completed_at) - min(completed_at))::float
    FROM (
        SELECT completed_at, ntile(5) OVER (ORDER BY completed_at) AS fifth
        FROM chaingraph_executions WHERE flow_id = %s
    ) AS parts GROUP BY fifth ORDER BY fifth
"""

#: (flow): how many there are, are completed, were claimed more than once (who takes longer than a
#: time slice gives way), and tell of another number of starts of nodes than five.
_COUNTS = """
    SELECT count(*), count(*) FILTER (WHERE status = 'completed'),
        count(*) FILTER (WHERE epoch <> 1), count(*) FILTER (WHERE starts <> 5)
    FROM chaingraph_executions AS e, LATERAL (
        SELECT count(*) FILTER (WHERE type = 'node:started') AS starts
        FROM chaingraph_event_batches AS b, unnest(b.types) AS type WHERE b.execution_id = e.id
    ) AS told
    WHERE flow_id = %s
"""
_RECOVERIES = "SELECT count(*) FROM chaingraph_execution_recovery"


class Gauge:
    """Looks at the length of the broker's queue, all the time."""

    def __init__(self, redis_url: str) -> None:
        self._client = Redis.from_url(redis_url, protocol=2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.lengths: list[int] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _look(self) -> None:
        while not self._stop.wait(LOOK_S):
            self.lengths.append(int(self._client.llen(QUEUE)))  # type: ignore[arg-type]


def measure(here: Place) -> Outcome:
    """Queue them, let one worker run them, and see how evenly it does."""
    crew = Crew(here.stack, concurrency=SLOTS)
    crew.muster(1)
    flow_id = here.stack.store(flows.w5())
    wanted = here.scaled(COUNT, BATCH)
    with Gauge(here.valkey.url) as gauge:
        _send(here, flow_id, wanted)
        here.await_all_ended(ENDS_WITHIN_S)
    outcome = Outcome()
    [(count, completed, again, uneven)] = here.ask(_COUNTS, flow_id)
    [(recoveries,)] = here.ask(_RECOVERIES)
    outcome.hold((count, completed) == (wanted, wanted), f"{completed} of {count} completed")
    outcome.hold(not uneven, f"{uneven} did not start each node once")
    outcome.hold(not recoveries, f"{recoveries} recoveries")
    longest = max(gauge.lengths)
    outcome.hold(longest <= SLOTS, f"{longest} messages lay in the queue of {SLOTS} slots")
    paces = [pace for (pace,) in here.ask(_PACE, flow_id)]
    outcome.figures = [
        f"{count:,} executions",
        "per second, by fifths: " + ", ".join(f"{pace:.0f}" for pace in paces),
        f"last fifth {paces[-1] / paces[0]:.2f} x the first",
        (
            f"messages in the queue: at most {longest}, median {median(gauge.lengths):g}"
            f" ({len(gauge.lengths):,} looks), {SLOTS} slots"
        ),
        f"no node started twice; {again} executions gave way after a time slice",
    ]
    return outcome


def _send(here: Place, flow_id: str, count: int) -> None:
    """Create them all, by several clients at once."""
    items = {"items": [{"flowId": flow_id, "autostart": True}] * BATCH}

    def send(_number: int) -> int:
        url = f"{here.stack.url}/api/v1/executions/batch"
        return httpx.post(url, json=items, timeout=120).status_code

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert set(pool.map(send, range(count // BATCH))) == {201}
