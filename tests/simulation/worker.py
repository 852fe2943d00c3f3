"""A worker process of the world: the production one, on simulated servers, clock and threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from app.errors import StoreUnavailable
from app.executions.effects import Effects
from app.executions.executor import Executor
from app.executions.listener import CommandListener
from app.executions.node_watch import NodeWatch
from app.executions.steps import Step
from app.executions.surroundings import Surroundings
from app.recovery.leases import LeaseKeeper
from app.recovery.sweep import Sweep, SweepOptions
from app.store.executions import ExecutionTable
from app.store.leases import PgLeaseStore
from app.store.records import WorkerRow
from app.store.runs import PgRunStore
from app.store.sweeps import PgSweepStore
from app.streams import keys
from app.streams.client import Truce
from app.streams.control import ControlInbox
from app.streams.lingering import Lingerer
from app.streams.signals import Signals
from tasks.announcer import Announcer
from tasks.dispatcher import Dispatcher
from tasks.launcher import Launcher
from tasks.names import lock_key
from tasks.process import LINGER_S, WorkerProcess
from tasks.standby import Standby
from tests.simulation.broker import QUEUE
from tests.simulation.lines import Line
from tests.simulation.nodes import OTHER_QUEUE, PLANS, SILENT
from tests.simulation.scheduler import Host
from tests.simulation.threads import SimFlag, SimMailbox

if TYPE_CHECKING:
    from tests.simulation.world import World

LEASE_S = 3.0
HEARTBEAT_S = 1.0
SCAN_S = 0.5
#: How long a worker that is told to end waits for nodes.
DRAIN_S = 0.5

#: What every worker consumes.
QUEUES = [QUEUE, OTHER_QUEUE]


@dataclass(frozen=True)
class WorkerOptions:
    """How the workers of a world are set up."""

    slots: int = 1
    sends_steps: bool = False
    most_crashes: int = 50


def signals_of(world: World) -> Signals:
    """The signals of a process, in the world's time."""
    return Signals(world.redis, world.clock)  # type: ignore[arg-type]


class SimWorker(WorkerProcess):
    """One process with the thread pool: parent and child in one."""

    def __init__(self, world: World, host: Host, options: WorkerOptions) -> None:
        self.host = host
        self.row = WorkerRow(
            worker_id=host.name,
            parent_worker_id=None,
            hostname="sim",
            pid=1,
            pool="threads",
            concurrency=options.slots,
            queues=QUEUES,
            lease_ms=round(LEASE_S * 1000),
            lock_key=lock_key(host.name),
        )
        self.is_told_to_end = False
        self.busy = 0
        self._renews = True
        self._world = world
        self._options = options
        self._flag = world.flag()
        self._app: Any = world.celery
        self.announcer = Announcer(self._app, host.name, enabled=False)
        self._database: Any = world.database()
        table = ExecutionTable(self._database)
        self._out: Any = SimpleNamespace(
            executions=self._database,
            table=table,
            publisher=world.publisher(),
            signals=signals_of(world),
        )
        self.dispatcher = Dispatcher(self._app, world.redis, table.slots, world.clock)
        self._launcher = Launcher(self._app, self.announcer, is_shown=False)
        self._launcher._lanes = SimLanes(world, host)  # type: ignore[assignment]
        self.watch = NodeWatch(world.clock)
        self._plans = PLANS
        tokens = itertools.count(1)
        self._executor = Executor(
            host.name,
            self.row.lease_ms,
            self._open_surroundings,
            lambda: f"{host.name} token {next(tokens)}",
            most_crashes=options.most_crashes,
        )
        self._make_keepers()

    def _make_keepers(self) -> None:
        world = self._world
        self.leases = LeaseKeeper(
            PgLeaseStore(self._database, self.row),
            self._executor.running,
            heartbeat_s=HEARTBEAT_S,
            lease_s=LEASE_S,
            is_draining=self._is_draining,
            clock=world.clock,
        )
        self.leases._stop = self._flag  # type: ignore[assignment]
        self.standby = Standby(
            world.redis,  # type: ignore[arg-type]
            lambda: len(self._executor.running()) < self._options.slots,
            self._executor.work,
            interval_s=HEARTBEAT_S,
        )
        self.standby._stop = self._flag  # type: ignore[assignment]
        self._sweep = Sweep(
            PgSweepStore(self._database, self.host.name),
            SweepOptions(
                recovers=True,
                most_crashes=self._options.most_crashes,
                interval_ms=round(SCAN_S * 1000),
                look_ms=round(SCAN_S * 1000),
                lock_look_ms=round(SCAN_S * 1000),
            ),
            publish=self._out.publisher.publish,
            messages=self.dispatcher,
            may_judge=self.leases.may_judge,
            pause=self._flag.wait,
            tell=Effects(self._out.publisher, self._out.signals, self.dispatcher).tell,
            clock=world.clock,
        )
        inbox = ControlInbox.__new__(ControlInbox)
        inbox._key = keys.control(self.host.name)
        inbox._block_s = 1.0
        inbox._client = world.redis  # type: ignore[assignment]
        inbox._closed = self._flag  # type: ignore[assignment]
        self._listener = CommandListener(inbox, self._out.signals, self._executor.running)
        self._listener._stop = self._flag  # type: ignore[assignment]

    def begin(self) -> None:
        """Start what are threads in production."""
        spawn = self._world.scheduler.spawn
        spawn(self.host, "leases", self._keep_leases)
        spawn(self.host, "sweep", self._keep_sweeping)
        spawn(self.host, "standby", self.standby._loop)
        spawn(self.host, "commands", self._listener._loop)
        for number in range(self._options.slots):
            spawn(self.host, f"slot {number}", self._take_messages)

    def drain(self) -> None:
        """Do as on SIGTERM: what runs is handed over at its next boundary, then all ends."""
        self.is_told_to_end = True
        self._world.scheduler.spawn(self.host, "end", self._end_in_order)
        self._world.scheduler.spawn(self.host, "ending", self._give_up_in_time)

    @property
    def running(self) -> list[Any]:
        """The runs of this process."""
        return self._executor.running()

    @property
    def lease_line(self) -> Line | None:
        """The connection that holds this process's lock."""
        session: Any = self.leases._store._session
        return None if session is None else session.line

    def _keep_leases(self) -> None:
        self.leases._try_renewal()
        self.leases._loop()
        self._renews = False

    def _keep_sweeping(self) -> None:
        wait_s = SCAN_S
        while not self._flag.wait(wait_s):
            try:
                wait_s = self._sweep.turn()
            except StoreUnavailable as error:
                wait_s = SCAN_S
                self._world.scheduler.note(f"{self.host.name}: could not sweep: {error}")

    def _take_messages(self) -> None:
        redis = self._world.redis
        while not self.is_told_to_end:
            try:
                _, message = redis.blpop(QUEUES)
                if self.is_told_to_end:
                    redis.rpush(message.queue, message)
                    return
                self._deliver(message)
            except RedisError:
                self._world.scheduler.sleep(0.5)

    def _deliver(self, message: Any) -> None:
        self._world.scheduler.note(f"{self.host.name}: gets {message.name} {message.ids[0][-4:]}")
        self.busy += 1
        try:
            self._world.celery.deliver(message)
        finally:
            self.busy -= 1

    def _give_up_in_time(self) -> None:
        """Nodes that take longer than a drain may are given up."""
        self._world.scheduler.sleep(DRAIN_S)
        if not self._flag.is_set() and (count := self.give_up()):
            self._world.scheduler.note(f"{self.host.name}: gives {count} runs up")

    def _end_in_order(self) -> None:
        while self.busy or self.running:
            self._world.scheduler.sleep(0.05)
        self._flag.set()
        while self._renews:
            self._world.scheduler.sleep(0.05)
        try:
            self.leases._store.unregister()
        except StoreUnavailable:
            self._world.scheduler.note(f"{self.host.name}: left the registration to the sweep")
        self._world.retire(self.host)

    def _open_surroundings(self) -> Surroundings:
        world = self._world
        lingerer = Lingerer.__new__(Lingerer)
        lingerer._wait_s = LINGER_S
        lingerer._client = world.redis  # type: ignore[assignment]
        lingerer._truce = Truce(1.0, world.clock)
        return Surroundings(
            store=PgRunStore(self._database),
            publish=self._out.publisher.publish,
            plans=self._plans,
            launch=self._launch,
            clock=world.clock,
            pause=world.scheduler.sleep,
            linger=lingerer.wait,
            lease_s=LEASE_S,
            max_value_bytes=1024 * 1024,
            is_draining=self._is_draining,
            let_go=self._out.signals.tell_let_go,
            send=self.dispatcher.send_steps,
            sends_all=self._options.sends_steps,
            herald=Effects(self._out.publisher, self._out.signals, self.dispatcher),
            fresh_id=world.fresh_id,
            only_watched=world.only_watched,
            mailbox=lambda: SimMailbox(world.scheduler),
            flag=lambda: SimFlag(world.scheduler),
        )

    def _launch(self, step: Step) -> None:
        [run] = [run for run in self.running if run.inbox is step.inbox]
        self._world.fences[step] = run.fence
        if step.start.node.spec.type in SILENT:
            # It is none of ours and says nothing.
            self._world.invariants.did(step, "began")
        self._launcher.launch(step)

    def _is_draining(self) -> bool:
        return self.is_told_to_end


class SimLanes:
    """Threads for nodes: tasks of their process."""

    def __init__(self, world: World, host: Host) -> None:
        self._world = world
        self._host = host
        self._numbers = itertools.count(1)

    def run(self, work: Callable[[], object]) -> None:
        self._world.scheduler.spawn(self._host, f"node {next(self._numbers)}", work)
