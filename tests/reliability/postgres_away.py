"""PostgreSQL is killed and stays away for a minute, under load."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Mapping

import httpx

from tests.reliability.place import Outcome, Place
from tests.system.crew import Crew
from tests.system.traces import Trace
from tests.waiting import wait_until

PROMISE = "PostgreSQL killed, and away for 60 s under load"

AWAY_S = 60.0
#: So long (s) before that there is load.
LOADED_S = 8.0
#: An effect takes so long (s); a flow is so many of them in a row.
EFFECT_S, NODES = 0.3, 10
CLIENTS = 4
#: Executions that are under way at once, about.
ALIVE = 30
#: What was under way when PostgreSQL died has ended after so long (s).
SETTLED_S = 5.0
ALL_END_WITHIN_S = 240.0
#: How often (s) the API is asked meanwhile, and how long a client waits for an answer.
EVERY_S, ANSWERED_WITHIN_S = 0.5, 20.0
#: Recoveries that are no reason to worry.
FEW = 3

_RECOVERIES = "SELECT recovery_reason, count(*) FROM chaingraph_execution_recovery GROUP BY 1"
_ALIVE = "SELECT count(*) FROM chaingraph_executions WHERE completed_at IS NULL"


class Clients:
    """Creates executions, under a key each, and insists until it is told that they are there."""

    def __init__(self, here: Place, flow_id: str) -> None:
        self._url = here.stack.url
        self._flow_id = flow_id
        self._stop = threading.Event()
        self._numbers = itertools.count(1)
        self._threads = [threading.Thread(target=self._create, daemon=True) for _ in range(CLIENTS)]
        self.created: list[str] = []
        self.answers: Counter[int | str] = Counter()
        self.without_retry_after = 0

    def begin(self) -> None:
        """Create from now on."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Create no more; what was asked for is insisted upon."""
        self._stop.set()
        for thread in self._threads:
            thread.join(ANSWERED_WITHIN_S + AWAY_S)

    def note(self, answer: httpx.Response) -> None:
        """Count an answer."""
        self.answers[answer.status_code] += 1
        if answer.status_code == 503 and not int(answer.headers.get("retry-after", 0)):
            self.without_retry_after += 1

    def _create(self) -> None:
        with httpx.Client(base_url=f"{self._url}/api/v1", timeout=ANSWERED_WITHIN_S) as http:
            while not self._stop.is_set():
                body = {"flowId": self._flow_id, "autostart": True}
                key = {"Idempotency-Key": f"load-{next(self._numbers)}"}
                self.created.append(self._insist(http, body, key))
                self._stop.wait(CLIENTS * EFFECT_S * NODES / ALIVE)

    def _insist(
        self, http: httpx.Client, body: Mapping[str, object], key: Mapping[str, str]
    ) -> str:
        while True:
            try:
                answer = http.post("/executions", json=body, headers=key)
            except httpx.TransportError as error:
                self.answers[type(error).__name__] += 1
            else:
                self.note(answer)
                if answer.status_code == 201:
                    return str(answer.json()["id"])
            _let_pass(EVERY_S)


def measure(here: Place) -> Outcome:
    """Have clients and workers at work, lose PostgreSQL for a while, and see all of it end."""
    outcome = Outcome()
    crews = [Crew(here.stack, concurrency=4), Crew(here.stack, pool="threads", concurrency=30)]
    for crew in crews:
        crew.muster(1)
    here.ledger.effect_s = EFFECT_S
    flow_id = here.stack.store(here.ledger.chain(NODES))
    clients = Clients(here, flow_id)
    clients.begin()
    _let_pass(LOADED_S)
    [(alive,)] = here.ask(_ALIVE)
    here.postgres.kill()
    effects = _stay_away(here, clients, outcome)
    here.postgres.start()
    _let_pass(LOADED_S)
    clients.end()
    here.await_all_ended(ALL_END_WITHIN_S)
    _judge(here, clients, outcome)
    workers = [worker for crew in crews for worker in crew.workers]
    outcome.hold(all(worker.is_running for worker in workers), "a worker ended")
    outcome.figures = [
        f"{alive} executions under way, {effects} effects under way came to their end",
        f"answers: {_spell(clients.answers)}",
        f"{len(clients.created)} executions completed, each effect once",
        f"recoveries: {_spell(dict(here.ask(_RECOVERIES))) or 'none'}",
    ]
    return outcome


def _stay_away(here: Place, clients: Clients, outcome: Outcome) -> int:
    """Ask the API while PostgreSQL is gone, and see that nothing runs on. Gives what ended yet."""
    gone_at = time.monotonic()
    before = here.ledger.total()
    [first] = clients.created[:1]
    settled: int | None = None
    calls = (("GET", first), ("POST", f"{first}/start"), ("POST", f"{first}/stop"))
    with httpx.Client(base_url=here.stack.url, timeout=ANSWERED_WITHIN_S) as http:
        while (gone_s := time.monotonic() - gone_at) < AWAY_S:
            for method, path in calls:
                answer = http.request(method, f"/api/v1/executions/{path}")
                clients.note(answer)
                outcome.hold(answer.status_code == 503, f"{method}: {answer.status_code}")
            ready, live = http.get("/health/ready"), http.get("/health/live")
            outcome.hold(ready.status_code == 503, f"/health/ready: {ready.status_code}")
            outcome.hold(live.status_code == 200, f"/health/live: {live.status_code}")
            if settled is None and gone_s > SETTLED_S:
                settled = here.ledger.total()
            _let_pass(EVERY_S)
    ran_on = here.ledger.total() - (settled or 0)
    outcome.hold(ran_on == 0, f"{ran_on} effects began without a checkpoint before them")
    return (settled or 0) - before


def _judge(here: Place, clients: Clients, outcome: Outcome) -> None:
    [(rows,)] = here.ask("SELECT count(*) FROM chaingraph_executions")
    outcome.hold(
        rows == len(set(clients.created)),
        f"{rows} executions are there, {len(set(clients.created))} were answered with 201",
    )
    others = {status for status in clients.answers if status not in {201, 503}}
    outcome.hold(not others, f"answers of {sorted(map(str, others))}")
    outcome.hold(not clients.without_retry_after, "503 without Retry-After")
    for execution_id in clients.created:
        try:
            Trace(here.stack, execution_id).assert_completed_once()
        except AssertionError as error:
            outcome.broken.append(f"{execution_id}: {error}")
        counts = here.ledger.counts(execution_id)
        once = dict.fromkeys((f"n{number:02}" for number in range(NODES)), 1)
        outcome.hold(counts == once, f"{execution_id}: its effects came {counts} times")
    recoveries = dict(here.ask(_RECOVERIES))
    outcome.hold(sum(recoveries.values()) <= FEW, f"recoveries: {recoveries}")


def _spell(counts: Mapping[int | str, int]) -> str:
    return ", ".join(f"{count} x {what}" for what, count in counts.items())


def _let_pass(seconds: float) -> None:
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, "some time has passed", seconds + 30)
