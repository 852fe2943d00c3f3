"""A worker process and what it is made of: the composition root of a worker.

With prefork there is a parent, which sweeps, and children, which run executions; with threads
one process does both. Every process is registered, holds its lock, and opens all connections
after its fork.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from itertools import count
from random import SystemRandom
from typing import TYPE_CHECKING, Literal

import orjson
from celery import Celery
from celery.platforms import EX_OK
from celery.worker import state

from app.config import Settings, urls
from app.errors import StoreUnavailable
from app.executions.effects import Effects
from app.executions.executor import Executor
from app.executions.exporting import open_traces
from app.executions.listener import CommandListener
from app.executions.meter import UNMEASURED
from app.executions.node_watch import NodeWatch, overdue
from app.executions.plans import PlanCache
from app.executions.steps import Step
from app.executions.surroundings import ChildLimits, Surroundings
from app.executions.tracing import Tracing
from app.ids import id_source
from app.nodes.queues import DEFAULT_QUEUE
from app.nodes.registry import load_catalogue
from app.recovery.leases import LeaseKeeper
from app.store.leases import PgLeaseStore
from app.store.overdue import OverdueStore
from app.store.records import WorkerRow
from app.store.runs import PgRunStore
from app.streams.client import connect
from app.streams.control import ControlInbox
from app.streams.lingering import Lingerer
from tasks.announcer import Announcer
from tasks.board import Board, Slot
from tasks.connections import Connections
from tasks.draining import DrainFlag
from tasks.ending import Ending
from tasks.frozen import FrozenWatch
from tasks.launcher import Launcher
from tasks.pulse import MOST_STUCK_THREADS, Pulse
from tasks.standby import Standby

if TYPE_CHECKING:
    from app.metrics.groups import WorkerMetrics

#: How long (s) a process that found no backlog stays awake for what comes next.
LINGER_S = 0.05

_log = logging.getLogger(__name__)


class WorkerProcess:
    """What one operating-system process of a worker does and holds.

    With prefork a child has a `slot`, where its parent sees whether it is frozen.
    """

    #: Whether this process takes nothing more because nodes in it don't yield.
    _is_retired = False

    def __init__(
        self,
        app: Celery,
        settings: Settings,
        row: WorkerRow,
        announcer: Announcer,
        draining: DrainFlag,
        *,
        metrics: WorkerMetrics | None = None,
        slot: Slot | None = None,
    ) -> None:
        self.row = row
        self.announcer = announcer
        self.metrics = metrics
        self.ending: Ending | None = None
        self._settings = settings
        self._out = Connections(settings, row, metrics)
        self.dispatcher = self._out.dispatcher
        self._launcher = Launcher(app, announcer, is_shown=settings.flower_steps)
        self._plans = PlanCache(load_catalogue(settings.node_modules, settings.http_node_allow))
        self._fresh_id = id_source(SystemRandom())
        self._parent_pid = os.getppid()
        self._draining = draining
        self._slot = slot
        self.watch = NodeWatch(time.monotonic, self._post)
        self._traces = open_traces("chaingraph-worker")
        self._executor = Executor(
            row.worker_id,
            row.lease_ms,
            self._open_surroundings,
            claim_tokens(secrets.token_hex(8)),
            most_crashes=settings.recovery_max_failure_count,
            announce=self._announce,
        )
        self.leases = LeaseKeeper(
            PgLeaseStore(self._out.executions, row),
            self._executor.running,
            heartbeat_s=settings.worker_heartbeat_interval_ms / 1000,
            lease_s=settings.worker_claim_timeout_ms / 1000,
            is_draining=self._is_draining,
        )
        self._listener = CommandListener(
            ControlInbox(settings.redis_url, row.worker_id),
            self._out.signals,
            self._executor.running,
        )
        self.standby = Standby(
            connect(urls.for_redis(settings.broker_url), role="worker"),
            lambda: len(self._executor.running()) < row.concurrency,
            self._executor.work,
            interval_s=settings.worker_heartbeat_interval_ms / 1000,
        )
        self._pulse = Pulse(
            self.watch,
            most_stuck=MOST_STUCK_THREADS if slot is None else 1,
            beat=self._beat,
            retire=self._retire,
            is_idle=lambda: not self._executor.running(),
            end=self._leave,
        )

    def start(self, *, runs_nodes: bool = True) -> None:
        """Register, renew leases, and, where nodes run, listen to commands and stand by."""
        self.leases.start()
        if runs_nodes:
            if self._slot is not None:
                self._slot.open(self.row.pid, time.monotonic())
            self._pulse.start()
            self._listener.start()
        if runs_nodes and DEFAULT_QUEUE in self.row.queues:
            self.standby.start()

    def end(self) -> None:
        """Nothing runs any more: forget the process."""
        # First: what it stood by for is watched, and its leases are renewed, to its end.
        self.standby.stop()
        self._pulse.stop()
        self._listener.stop()
        self.leases.stop(unregister=True)
        if self._slot is not None:
            # A parent that need not wait for Celery waits for this.
            self._slot.close()
        self.announcer.close()
        self._traces.end()
        if self.ending is not None and self.row.pool != "threads":
            # With threads the interpreter waits for what still runs in one.
            self.ending.over()

    def check_schema(self) -> None:
        """Raise SettingsError where a database has a schema that this code doesn't run on."""
        self._out.databases.check_schema()

    def watch_children(self, board: Board) -> FrozenWatch:
        """A watch over the children of this process, to be started."""
        effects = Effects(self._out.publisher, self._out.signals, self.dispatcher)
        return FrozenWatch(board, OverdueStore(self._out.executions), effects.wake)

    def say_draining(self) -> None:
        """Say so at once that this process takes nothing more, on a connection of its own."""
        store = PgLeaseStore(self._out.executions, self.row)
        try:
            store.set_status("draining")
        except StoreUnavailable as error:
            _log.info("left it to the next renewal to say that this worker drains: %s", error)
        finally:
            store.close()

    def is_idle(self) -> bool:
        """Whether nothing runs here, and nothing is being claimed."""
        return self._executor.is_idle()

    def holds_nothing(self) -> bool:
        """Whether the process could end now, and nothing would have to be handed over."""
        return self._executor.holds_nothing()

    def give_up(self) -> int:
        """Hand over what runs here although its nodes have not ended; gives how much that is."""
        runs = self._executor.running()
        for run in runs:
            run.give_up()
        return len(runs)

    @property
    def tracing(self) -> Tracing:
        """Tells collectors of traces what happens here."""
        return self._traces.tracing

    def is_started(self, execution_id: str) -> bool:
        """Take the start signal, if it is there."""
        self._out.signals.clear_message(execution_id)
        return self._out.signals.take_start(execution_id)

    def is_looked_for(self) -> bool:
        """Whether work may lie in the backlog of which no message tells: the queue was full."""
        return self.dispatcher.take_dropped()

    def work(self, execution_id: str) -> None:
        """Run the backlog until the time slice ends; then ask for another slot to go on.

        The message that names an execution only wakes: what is before it in the backlog comes
        first.
        """
        self._out.signals.clear_message(execution_id)
        with self.announcer.known(execution_id):
            found = self._executor.work()
        if found or (self._is_draining() and not self._is_retired):
            # What a worker that is told to end was woken for, another is woken for.
            self._hand_on()

    def run_launched(self, execution_id: str, node_id: str) -> bool:
        """Run a node that was started in this process; False where it wasn't."""
        step = self._launcher.steps.pop((execution_id, node_id), None)
        if step is not None:
            self.watch.run(step)
        return step is not None

    def run_step(self, execution_id: str, node_id: str, queue: str = DEFAULT_QUEUE) -> bool:
        """Run a node that was sent to its queue.

        False where the worker is told to end, and the step was sent on.
        """
        if not self._is_draining():
            with self.announcer.known(execution_id, node_id):
                is_done = self._executor.work_step(execution_id, node_id)
            # It may have been told to end before the step was claimed.
            if is_done or not self._is_draining():
                return True
        if not self._is_retired:
            self.dispatcher.send_steps(execution_id, {node_id: queue})
        return False

    def _hand_on(self) -> None:
        """Give the slot back with a hint to whoever takes it, where work is left."""
        try:
            left = self._out.table.next_runnable()
        except StoreUnavailable as error:
            _log.info("left the backlog to the sweep: %s", error)
            return
        if left is not None:
            self.dispatcher.hint([left])

    def _open_surroundings(self) -> Surroundings:
        return Surroundings(
            store=PgRunStore(
                self._out.executions,
                limit=self._settings.queue_concurrency,
                flows=self._out.databases.lookup,
            ),
            publish=self._out.publisher.publish,
            plans=self._plans,
            launch=self._launcher.launch,
            clock=time.monotonic,
            pause=self._pause,
            linger=Lingerer(urls.for_redis(self._settings.broker_url), LINGER_S).wait,
            lease_s=self.row.lease_ms / 1000,
            max_value_bytes=self._settings.max_value_bytes,
            is_draining=self._is_draining,
            let_go=self._out.signals.tell_let_go,
            vault=self._out.vault,
            send=self.dispatcher.send_steps,
            sends_all=self._settings.step_dispatch == "message",
            herald=Effects(
                self._out.publisher,
                self._out.signals,
                self.dispatcher,
                self.metrics.streams.stopped if self.metrics else None,
            ),
            meter=self.metrics.runs if self.metrics else UNMEASURED,
            tracing=self.tracing,
            fresh_id=self._fresh_id,
            limits=ChildLimits(
                self._settings.max_execution_depth,
                self._settings.max_children_per_parent,
                self._settings.max_items_per_foreach,
            ),
            only_watched=self._settings.event_publish == "watched",
        )

    def _pause(self, seconds: float) -> None:
        """Wait for PostgreSQL: nothing else is waited for so."""
        if self.metrics is not None:
            self.metrics.store.unavailable()
        time.sleep(seconds)

    def _announce(self, event: Literal["claimed", "ended"], execution_id: str, ok: bool) -> None:
        """An execution without a message is shown as the task that would have run it."""
        if event == "claimed":
            self.announcer.began("tasks.advance", execution_id)
        else:
            self.announcer.ended(execution_id, ok=ok)

    def _is_draining(self) -> bool:
        """Whether nothing more is taken: the worker is to end, or the parent is gone."""
        return self._is_retired or self._draining.is_set() or self._is_orphan

    @property
    def _is_orphan(self) -> bool:
        # Who started a worker itself may end before it: a shell that sent it to the background.
        is_child = self.row.parent_worker_id is not None
        return is_child and os.getppid() != self._parent_pid

    def _post(self, due: float, step: Step | None) -> None:
        """Have the parent see whose time is up first here."""
        if self._slot is not None:
            text = b"" if step is None else orjson.dumps([*overdue(step, self.row.worker_id)])
            self._slot.post(due, text)

    def _beat(self) -> None:
        if self._slot is not None:
            self._slot.beat(time.monotonic())

    def _retire(self) -> None:
        """Nodes here don't yield: hand over what else runs, and be replaced."""
        self._is_retired = True
        if self._slot is None:
            self._leave()

    def _leave(self) -> None:
        """End this process, unless it is told to already: the pool replaces a child, others a
        worker.
        """
        if self._draining.is_set():
            return
        if self._slot is None:
            # No signal: the first that an operator sends would be taken for the second.
            self._draining.set()
            state.should_stop = EX_OK  # type: ignore[assignment]
        else:
            os.kill(os.getpid(), signal.SIGTERM)


def claim_tokens(random: str) -> Callable[[], str]:
    """Make what gives each claim of a process a token of its own; `random` is the process's."""
    numbers = count()
    return lambda: f"{random}-{next(numbers)}"


_current: list[WorkerProcess] = []


def become(made: WorkerProcess) -> None:
    """Make this the process that the tasks run in; what a parent left here is forgotten."""
    _current[:] = [made]


def present() -> Sequence[WorkerProcess]:
    """The process that the tasks run in, if this one has become one."""
    return _current


def process() -> WorkerProcess:
    """The process that the tasks run in."""
    return _current[0]
