"""Redis is killed and comes back empty, under executions that run and others that wait."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from tests.reliability import flows
from tests.reliability.place import Outcome, Place
from tests.system.crew import Crew
from tests.system.traces import Trace, read_events
from tests.system.watchers import Watchers, watching
from tests.waiting import wait_until

PROMISE = "Redis killed and back, empty: 200 executions run, 500 wait, all are watched"

RUNNING, WAITING_EACH = 200, 100
WORKERS = 2
NODES = 6
#: How long (s) an effect takes.
EFFECT_S = 0.3
#: How long (ms) the timers are: beyond the time that it takes to lose Redis.
NAP_MS = 60_000
#: How long (s) things may take on a machine that is slow.
ALL_RUN_WITHIN_S, ALL_WAIT_WITHIN_S, ALL_END_WITHIN_S = 240.0, 240.0, 400.0

_WAITING = "SELECT waiting ->> 'for', count(*) FROM chaingraph_executions GROUP BY 1"
_PAUSED = "SELECT count(*) FROM chaingraph_executions WHERE status = 'paused'"
_CHILDREN = "SELECT id FROM chaingraph_executions WHERE parent_execution_id IS NOT NULL"
_RECOVERIES = "SELECT count(*) FROM chaingraph_execution_recovery"


@dataclass(frozen=True, slots=True)
class Crowd:
    """Executions by what becomes of them: they run, or wait for something."""

    running: Sequence[str]
    unstarted: Sequence[str]
    timers: Sequence[str]
    signalled: Sequence[str]
    paused: Sequence[str]
    parents: Sequence[str]

    @property
    def waiting(self) -> list[str]:
        """Those that wait."""
        kinds = (self.unstarted, self.timers, self.signalled, self.paused, self.parents)
        return list(itertools.chain(*kinds))

    @property
    def all(self) -> list[str]:
        """All of them; children, that come by themselves, are not among them."""
        return [*self.running, *self.waiting]


def measure(here: Place) -> Outcome:
    """Have them run and wait, lose Redis, and see them all end."""
    crew = Crew(here.stack, pool="threads", concurrency=RUNNING // WORKERS)
    crew.muster(WORKERS)
    here.ledger.effect_s = EFFECT_S
    waiting = _waiting_crowd(here)
    # All of them are in the middle of an effect when Redis dies.
    here.ledger.hold()
    chain = here.stack.store(here.ledger.chain(NODES))
    running = here.create([{"flowId": chain, "autostart": True}] * RUNNING)
    crowd = Crowd(running, *waiting)
    with watching(here.stack, crowd.all, within_s=ALL_END_WITHIN_S) as watchers:
        wait_until(lambda: here.ledger.under_way >= RUNNING, "all of them run", ALL_RUN_WITHIN_S)
        here.valkey.kill()
        _move(here, crowd, slice(0, None, 2))
        here.ledger.let_go()
        here.valkey.start()
        _move(here, crowd, slice(1, None, 2))
        here.await_all_ended(ALL_END_WITHIN_S)
    return _judge(here, crowd, watchers)


def _waiting_crowd(here: Place) -> Sequence[Sequence[str]]:
    """Create those that wait, each for another thing, and see that they do."""
    ledger, stack = here.ledger, here.stack
    chain = stack.store(ledger.chain(2))
    child = stack.store(flows.nap(ledger, NAP_MS))
    bodies = [
        {"flowId": chain},
        {"flowId": child, "autostart": True},
        {"flowId": stack.store(flows.signalled(ledger)), "autostart": True},
        {"flowId": chain, "autostart": True, "options": {"breakpoints": ["n01"]}},
        {"flowId": stack.store(flows.calling(ledger, child)), "autostart": True},
    ]
    created = [here.create([body] * WAITING_EACH) for body in bodies]
    wait_until(lambda: _all_wait(here), "those wait that should", ALL_WAIT_WITHIN_S)
    return created


def _all_wait(here: Place) -> bool:
    found = dict(here.ask(_WAITING))
    # The children of those that wait for theirs sleep.
    wanted = {"timer": 2 * WAITING_EACH, "signal": WAITING_EACH, "children": WAITING_EACH}
    return found.items() >= wanted.items() and here.ask(_PAUSED) == [(WAITING_EACH,)]


def _move(here: Place, crowd: Crowd, some: slice) -> None:
    """Give some of those that wait what they wait for; timers come by themselves."""
    for execution_id in crowd.unstarted[some]:
        here.command(execution_id, "start")
    for execution_id in crowd.signalled[some]:
        here.command(execution_id, "signals/go", {"n": 1})
    for execution_id in crowd.paused[some]:
        here.command(execution_id, "resume")


def _judge(here: Place, crowd: Crowd, watchers: Watchers) -> Outcome:
    outcome = Outcome()
    children = [id_ for (id_,) in here.ask(_CHILDREN)]
    outcome.hold(len(children) == WAITING_EACH, f"there are {len(children)} children")
    outcome.hold(not watchers.failures, f"sockets broke: {list(watchers.failures.values())[:3]}")
    for execution_id in [*crowd.all, *children]:
        _judge_one(here, execution_id, outcome)
    for execution_id in crowd.all:
        seen = watchers.events[execution_id]
        outcome.hold(
            seen == read_events(here.stack, execution_id)
            and watchers.ended.get(execution_id) == "completed",
            f"{execution_id}: its watcher saw other events than there are, or no end",
        )
    [(recoveries,)] = here.ask(_RECOVERIES)
    outcome.hold(recoveries == 0, f"{recoveries} executions were taken from living owners")
    read = sum(map(len, watchers.events.values()))
    outcome.figures = [
        f"{len(crowd.all)} and {len(children)} children completed",
        f"{len(watchers.ended)} watchers read {read:,} events, each index once",
        f"{recoveries} recoveries",
    ]
    return outcome


def _judge_one(here: Place, execution_id: str, outcome: Outcome) -> None:
    trace = Trace(here.stack, execution_id)
    try:
        trace.assert_completed_once()
    except AssertionError as error:
        outcome.broken.append(f"{execution_id}: {error}")
    counts = set(here.ledger.counts(execution_id).values())
    outcome.hold(counts == {1}, f"{execution_id}: its effects came {sorted(counts)} times")
