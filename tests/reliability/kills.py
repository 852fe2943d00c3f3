"""kill -9 of whoever runs an execution, and how long it takes until its node starts elsewhere."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from tests.reliability.place import Outcome, Place
from tests.system.crew import Crew
from tests.system.stack import Managed
from tests.system.traces import Trace
from tests.waiting import wait_until

PROMISE = "kill -9 to the next node: p50 0.5 s, max 1.5 s"

#: So long (s) an effect takes; the kill comes at any time in its first half second.
EFFECT_S = 1.2
KILLED_WITHIN_S = 0.5
NODES = 3
WORKERS = 2
BACK_WITHIN_S = 90.0
ENDS_WITHIN_S = 60.0
#: Any will do: kills that keep time with the sweep would tell of one moment of it.
SEED = 1


@dataclass(frozen=True, slots=True)
class Kind:
    """What is killed, how often, and in which kind of worker."""

    name: str
    pool: str
    kills: int
    kill: Callable[[Crew, str], None]


def _kill_worker(crew: Crew, execution_id: str) -> None:
    crew.owner(execution_id).kill_all()


KINDS = (
    Kind("a child", "prefork", 20, Crew.kill_child),
    Kind("a worker with its children", "prefork", 15, _kill_worker),
    Kind("a worker with threads", "threads", 15, _kill_worker),
)


def measure(here: Place) -> Outcome:
    """Kill, again and again, each kind in turn."""
    outcome = Outcome()
    dice = random.Random(SEED)
    here.ledger.effect_s = EFFECT_S
    flow_id = here.stack.store(here.ledger.chain(NODES))
    for kind in KINDS:
        crew = Crew(here.stack, pool=kind.pool, concurrency=4)
        gaps = [
            _bridged(here, crew, kind, flow_id, dice, outcome)
            for _ in range(here.scaled(kind.kills))
        ]
        crew.disband()
        outcome.figures.append(
            f"{kind.name}: p50 {median(gaps):.2f} s, max {max(gaps):.2f} s, {len(gaps)} kills"
        )
    return outcome


def _bridged(
    here: Place, crew: Crew, kind: Kind, flow_id: str, dice: random.Random, outcome: Outcome
) -> float:
    """How long (s) it takes from a kill to the next start of the node in hand."""
    crew.muster(WORKERS)
    wait_until(lambda: _are_whole(crew, kind.pool), "all children are there", BACK_WITHIN_S)
    execution_id = here.stack.run(flow_id)
    wait_until(lambda: here.ledger.count(execution_id, "n00"), "its first node runs")
    until = time.monotonic() + dice.uniform(0.05, KILLED_WITHIN_S)
    wait_until(lambda: time.monotonic() > until, "the time has come")
    killed_at = time.time()
    kind.kill(crew, execution_id)
    # Whoever is missing is started once the others have taken over: as if it were elsewhere.
    here.stack.await_status(execution_id, within_s=ENDS_WITHIN_S)
    trace = Trace(here.stack, execution_id)
    try:
        trace.assert_completed_once()
        assert trace.attempts()["n00"] == [1, 2]
        assert [reason for reason, *_ in trace.recoveries] == ["worker_died"]
        assert here.ledger.counts(execution_id) == {"n00": 2, "n01": 1, "n02": 1}
    except AssertionError as error:
        outcome.broken.append(f"{kind.name}, {execution_id}: {error}")
        return ENDS_WITHIN_S
    return trace.started_at("n00", 2) - killed_at


def _are_whole(crew: Crew, pool: str) -> bool:
    return all(pool == "threads" or _children(worker) for worker in crew.workers)


def _children(worker: Managed) -> bool:
    return len(worker.children()) >= 4
