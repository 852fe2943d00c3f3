"""One simulated world: servers, processes, clients, faults, and the loop that lets them happen."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from app.ids import id_source
from app.nodes.sdk import NodeContext
from app.store.events import EventLog
from app.store.records import Fence
from tasks import process
from tasks.process import become
from tests.simulation import nodes
from tests.simulation.api import SimApi
from tests.simulation.broker import SimCelery
from tests.simulation.database import Beside, SimDatabase
from tests.simulation.fanning import check_fan
from tests.simulation.faults import KINDS, Faults
from tests.simulation.invariants import Invariants, Violation
from tests.simulation.lines import StoreServer
from tests.simulation.outcome import Outcome, digest_of
from tests.simulation.publishing import SimPublisher
from tests.simulation.redis import SimRedis
from tests.simulation.scheduler import Host, Scheduler
from tests.simulation.signalling import SignalPromises
from tests.simulation.streams import SimConnection
from tests.simulation.threads import SimFlag
from tests.simulation.watchers import Reading, SimRelay, Watcher
from tests.simulation.worker import LEASE_S, SimWorker, WorkerOptions

#: Makes the store of a world, in its time.
MakeBackend = Callable[[Scheduler], Any]

#: A schedule goes wrong for so many steps at most before it is healed.
MOST_STEPS = 1500
#: Who is slow changes after so many steps.
SLOW_FOR_STEPS = 40
#: Healed, everything ends within so many steps, and so much time (s).
MOST_HEALED_STEPS = 30_000
MOST_HEALED_S = 300.0
#: So many schedules have watchers: the relay of a world costs as much as all else in it.
WATCHED = 0.25
#: How long (s) zombies are watched once all is over.
ZOMBIES_S = 1.0


@dataclass(frozen=True)
class Scenario:
    """What kind of schedules; the seed decides about everything that is left open."""

    #: What may go wrong.
    kinds: Sequence[str] = KINDS
    #: How often it does, one of these.
    counts: Sequence[int] = (0, 1, 2, 3, 5)
    #: Whether steps are sent as messages; None for either.
    sends_steps: bool | None = None
    #: How many executions there are, one of these.
    clients: Sequence[int] = (1, 2, 2, 3)
    #: Whether clients pause, step, resume and stop.
    commands: bool = True
    #: The flows that are run, each as often as it stands here.
    flows: Sequence[str] = nodes.DRAWN
    #: How many of the schedules have watchers, and so a relay: the part of all.
    watched: float = WATCHED
    #: In how many of those only what is watched is published.
    only_watched: float = 0.5
    #: In how many of those in which something goes wrong Redis loses, delays or doubles events.
    spoiled: float = 0.5


ANYTHING = Scenario()


class World:
    """Everything of one schedule."""

    def __init__(self, seed: int, make_backend: MakeBackend, scenario: Scenario) -> None:
        self.scenario = scenario
        self.scheduler = Scheduler(seed)
        random = self.scheduler.random
        self.backend = make_backend(self.scheduler)
        self.server = StoreServer(self.scheduler)
        self.invariants = Invariants(self.scheduler, self.backend, LEASE_S)
        self.signals = SignalPromises(self.backend)
        self.server.done = self._done
        self.redis = SimRedis(self.scheduler)
        self.faults = Faults(self, scenario.kinds, scenario.counts)
        self.is_watched = scenario.watched > 0 and random.random() < scenario.watched
        #: Whether workers publish only what somebody watches.
        self.only_watched = self.is_watched and random.random() < scenario.only_watched
        self._redis_host = Host("redis")
        self.reading = Reading()
        self.watchers: list[Watcher] = []
        self.celery = SimCelery(self.redis, self.faults.fate)
        self.fresh_id = id_source(Random(seed))
        self.promised: dict[str, set[str]] = {}
        self.relays: dict[Host, SimRelay] = {}
        #: Under which fence each step runs.
        self.fences: dict[NodeContext, Fence] = {}
        self.workers: list[SimWorker] = []
        self.options = WorkerOptions(
            slots=random.choice((1, 1, 2)),
            sends_steps=random.random() < 0.4
            if scenario.sends_steps is None
            else scenario.sends_steps,
            most_crashes=random.choice((2, 50, 50, 50)),
        )
        self._hurry = random.choice((0.0, 0.0, 0.01, 0.05))
        self._director = Host("director")
        self._numbers = itertools.count(1)
        self._to_kill: list[Host] = []
        for _ in range(random.choice((2, 2, 3))):
            self.add_worker()
        self.api = self._new_api()
        self._clients = random.choice(scenario.clients)
        for number in range(self._clients):
            self.api.begin_client(number)
        if self.is_watched:
            self._add_watchers()

    def _done(self, host: Host, name: str, fence: Fence | None) -> None:
        self.invariants.done(host, name, fence)
        self.faults.after(host, name)

    def next_number(self) -> int:
        """A number that nothing else has."""
        return next(self._numbers)

    # -- what processes ask for

    def clock(self) -> float:
        """The time (s)."""
        return self.scheduler.now

    def flag(self) -> SimFlag:
        return SimFlag(self.scheduler)

    def database(self) -> SimDatabase:
        return SimDatabase(self.server, self.backend)

    def connect(self, *, name: str, timeout_s: float) -> SimConnection:
        """A bare connection to Redis; nothing takes so long here that it would time out."""
        return SimConnection(self.redis, self._redis_host, self.scheduler, self.faults.passage)

    def publisher(self) -> SimPublisher:
        """What a process publishes with."""
        return SimPublisher(self)

    def published(self, execution_id: str, first_index: int, lines: Sequence[bytes]) -> None:
        """Somebody publishes what must be committed by now."""
        with self._reported():
            self.invariants.published(execution_id, first_index, lines)

    def promise(self, execution_id: str, what: str) -> None:
        """A client has the answer 2xx."""
        self.scheduler.note(f"a client knows that {execution_id[-4:]} is {what}")
        self.promised.setdefault(execution_id, set()).add(what)

    def on_stage(self, ctx: NodeContext, what: str) -> None:
        """A node does something."""
        self.scheduler.note(
            f"{self.scheduler.current}: {ctx.execution_id[-4:]}/{ctx.node_id}"
            f" attempt {ctx.attempt}: {what}"
        )
        match what:
            case "began":
                with self._reported():
                    self._begin(ctx)
            case "effect":
                self.scheduler.point()
            case "stuck":
                self.scheduler.sleep(1.0)
        self.invariants.did(ctx, what)
        self.scheduler.point()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """End the schedule for a violation, whoever would catch it here."""
        try:
            yield
        except Violation as violation:
            self.scheduler.crashes.append((self.scheduler.current, violation))

    def _begin(self, ctx: NodeContext) -> None:
        has_effects = ctx.start.node.spec.effects  # type: ignore[attr-defined]
        self.invariants.began(ctx, self.fences[ctx], has_effects=has_effects)

    # -- processes

    def alive_workers(self) -> list[SimWorker]:
        return [worker for worker in self.workers if not worker.host.dead]

    def add_worker(self) -> None:
        """Start a worker process."""
        host = Host(f"w{next(self._numbers)}")
        self.workers.append(SimWorker(self, host, self.options))
        self.workers[-1].begin()

    def kill(self, host: Host) -> None:
        """Kill a process, with what it sent and was not begun done or not. Outside of tasks."""
        executes = self.scheduler.random.random() < 0.5
        self.scheduler.note(f"{host.name} is killed")
        self.scheduler.kill(host)
        if relay := self.relays.pop(host, None):
            relay.died()
        self.server.cut_all(host, executes=executes)

    def retire(self, host: Host) -> None:
        """A process ends in good order."""
        self._to_kill.append(host)

    def thaw(self, host: Host) -> None:
        host.frozen = False

    def _new_api(self) -> SimApi:
        return SimApi(self, Host(f"api{next(self._numbers)}"))

    def replace_api(self) -> None:
        """Kill the API process and start another."""
        self.kill(self.api.host)
        self.api = self._new_api()

    def drain_api(self) -> None:
        """Tell the API process to end, and start another."""
        before, self.api = self.api, self._new_api()
        if relay := self.relays.get(before.host):
            relay.drain()
        self.later(2.0, f"{before.host.name} ends", lambda: self.retire(before.host))

    def _add_watchers(self) -> None:
        random = self.scheduler.random
        spoiled = self.scenario.spoiled
        self.faults.spoils_events = bool(self.faults.count) and random.random() < spoiled
        self.watchers = [Watcher(self, number) for number in range(random.choice((1, 2, 3)))]
        for watcher in self.watchers:
            self.scheduler.spawn(Host("clients"), "watcher", watcher.watch)

    def later(self, seconds: float, what: str, do: Callable[[], object]) -> None:
        """Have something done after so many seconds, unless it is done in healing."""

        def act() -> None:
            self.scheduler.sleep(seconds)
            if not self.faults.is_over:
                self.scheduler.note(what)
                do()

        self.scheduler.spawn(self._director, what, act)

    # -- servers

    def stop_store(self) -> None:
        self.server.is_up = False
        self.server.cut_all()
        self.backend.restart()

    def start_store(self) -> None:
        self.server.is_up = True

    def start_redis(self) -> None:
        self.redis.is_up = True

    # -- the loop

    def run(self) -> None:
        """Let all happen. Raises Violation, or what a task died of."""
        while self.scheduler.steps < MOST_STEPS and not self._is_over():
            self.faults.happen()
            if self.scheduler.steps % SLOW_FOR_STEPS == 0:
                self.scheduler.slow = self._draw_slow()
            self._go_on(self._hurry)
        self.scheduler.slow = None
        self._heal()
        steps = self.scheduler.steps + MOST_HEALED_STEPS
        until = self.scheduler.now + MOST_HEALED_S
        while not self._is_over() and self.scheduler.steps < steps and self.clock() < until:
            self._go_on(0.0)
        if self.faults.has_frozen:
            # Who was frozen goes on where it was, and nobody waits for it.
            until = self.clock() + ZOMBIES_S
            while self.clock() < until:
                self._go_on(0.0)
        self.invariants.at_end(self.promised, self._has_effects, self._emits)
        for execution_id, known in self.invariants.known.items():
            check_fan(execution_id, known.events)
            self.signals.at_end(execution_id, known.waited, known.began, nodes.limit_s)
        if not self._has_been_watched():
            raise Violation("a watcher never gets its end")
        self.reading.at_end(EventLog(Beside(self.backend)))

    def _draw_slow(self) -> Host | None:
        """A worker that is slower than all others for a while, or none."""
        random = self.scheduler.random
        hosts = [worker.host for worker in self.alive_workers()]
        return random.choice(hosts) if hosts and random.random() < 0.7 else None

    def _go_on(self, hurry: float) -> None:
        scheduler = self.scheduler
        if scheduler.is_idle:
            self._rest()
        elif hurry and scheduler.random.random() < hurry and scheduler.next_due() is not None:
            scheduler.pass_time()
        else:
            scheduler.step()
        if scheduler.crashes:
            task, error = scheduler.crashes[0]
            scheduler.note(f"{task} dies of {error!r}")
            raise error
        while self._to_kill:
            self.kill(self._to_kill.pop())

    def _rest(self) -> None:
        # Nobody finds out what became of a statement while PostgreSQL is away.
        self.invariants.at_rest(self.workers if self.server.is_up else ())
        if self.faults.is_faultless:
            self.invariants.no_wake_is_lost()
            for execution_id in self.invariants.parked():
                self.signals.no_node_is_left_waiting(execution_id)
        if self.scheduler.next_due() is None:
            raise Violation("nobody will ever do anything again")
        self.scheduler.pass_time()

    def _is_over(self) -> bool:
        if len(self.promised) < self._clients and not self.faults.is_over:
            return False
        for known in self.invariants.known.values():
            if known.state is None or not known.state.is_final:
                return False
        if any(worker.host.frozen or worker.running for worker in self.alive_workers()):
            # A zombie has yet to wake, and to find out.
            return False
        return self._has_been_watched()

    def _has_been_watched(self) -> bool:
        return not self.promised or all(watcher.has_end for watcher in self.watchers)

    def _heal(self) -> None:
        self.scheduler.note("from now on nothing goes wrong")
        self.faults.heal()
        self.start_store()
        self.start_redis()
        for worker in self.alive_workers():
            self.thaw(worker.host)
        self.add_worker()
        self.api = self._new_api()
        self.scheduler.spawn(self.api.host, "caller", self._set_all_going)

    def _set_all_going(self) -> None:
        """Have everything end that waits for a caller."""
        while True:
            for execution_id, known in list(self.invariants.known.items()):
                if known.state is not None and not known.state.is_final:
                    self.api.set_going(execution_id, known.state)
            self.scheduler.sleep(1.0)

    def _has_effects(self, execution_id: str, node_id: str) -> bool:
        flow_id = self.invariants.known[execution_id].events[0][1]["flowId"]
        types = {each["id"]: each["type"] for each in nodes.FLOWS[flow_id]["nodes"]}
        return types[node_id] not in {"PureNode", *nodes.SILENT}

    def _emits(self, execution_id: str, node_id: str) -> int:
        """How many children a completed node has made."""
        flow_id = self.invariants.known[execution_id].events[0][1]["flowId"]
        types = {each["id"]: each["type"] for each in nodes.FLOWS[flow_id]["nodes"]}
        return nodes.EMITTED.get(types[node_id], 0)

    def close(self) -> None:
        self.scheduler.close()
        self.backend.close()


class _CurrentProcess:
    """The worker process whose task runs: what the bodies of the tasks work on."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        host = self._world.scheduler.current.host
        [worker] = [worker for worker in self._world.workers if worker.host is host]
        return getattr(worker, name)


def simulate(seed: int, make_backend: MakeBackend, scenario: Scenario = ANYTHING) -> Outcome:
    """Run the schedule of a seed from beginning to end."""
    world = World(seed, make_backend, scenario)
    violation: BaseException | None = None
    before = process._current[:]
    become(_CurrentProcess(world))  # type: ignore[arg-type]
    nodes.set_stage(world.on_stage)
    try:
        world.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the seed shows
        violation = error
    finally:
        trace = list(world.scheduler.trace)
        world.close()
        nodes.set_stage(None)
        process._current[:] = before
    steps, executions = world.scheduler.steps, len(world.invariants.known)
    return Outcome(seed, steps, executions, violation, trace, digest_of(trace))
