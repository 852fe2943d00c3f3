"""Beginning and end of worker processes: Celery's hooks, and what is made and ended there."""

from __future__ import annotations

import ctypes
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from billiard.process import current_process
from celery import bootsteps
from celery.exceptions import CPendingDeprecationWarning
from celery.signals import (
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)

from app.config import Settings, load_settings
from app.errors import SettingsError
from app.logs import name_process
from app.recovery.notes import NoteMover
from app.recovery.sweeper import Sweeper
from app.store.records import WorkerRow
from tasks.announcer import Announcer
from tasks.app import app
from tasks.board import Board, Slot
from tasks.draining import DrainFlag
from tasks.ending import HANDS_OVER_WITHIN_S, Ending
from tasks.frozen import FrozenWatch
from tasks.names import lock_key, make_worker_id
from tasks.process import WorkerProcess, become, present
from tasks.sweeper import make_note_mover, make_sweeper

if TYPE_CHECKING:
    from tasks.measuring import Measuring

_PR_SET_PDEATHSIG = 1
#: A worker waits so much longer (s) for its children than they take to give up what they run.
_CHILDREN_END_WITHIN_S = HANDS_OVER_WITHIN_S + 1

_log = logging.getLogger(__name__)


#: What Celery's pool modules are called in WORKER_POOL.
_POOLS = {"prefork": "prefork", "thread": "threads", "solo": "solo"}


class Keeper(bootsteps.StartStopStep):
    """Registers the worker, renews its leases and sweeps, as long as the worker lives."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        # Workers know each other by PostgreSQL. Asking around costs each start a second, and
        # gossip doesn't outlive a broker that was lost (kombu 5.7.0).
        parent.options |= {"without_gossip": True, "without_mingle": True}
        # Celery says with every lost connection what celeryconfig has decided on.
        warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
        _look_here()
        self.settings = load_settings()
        # Named before the pool forks: children are named after their parent.
        self.worker_id = make_worker_id(self.settings)
        self.draining = DrainFlag()
        # A child that takes the place of another has its number, and its slot.
        self.board = Board(parent.concurrency)
        self.frozen: FrozenWatch | None = None
        self.nodename: str = parent.hostname
        self.sends_events: bool = parent.task_events
        self.measuring = _measuring(self.settings)
        self.process: WorkerProcess | None = None
        self.sweeper: Sweeper | None = None
        self._told: set[str] = set()
        self._end_once = threading.Lock()
        self.notes: NoteMover | None = None
        _keepers[:] = [self]

    def start(self, parent: Any) -> None:
        """The pool is up: begin."""
        row = _row(
            self.settings,
            self.worker_id,
            pool=_POOLS[parent.pool_cls.__module__.rsplit(".", 1)[1]],
            concurrency=parent.concurrency,
        )
        try:
            self.process = self.new_process(row)
            self.process.check_schema()
        except SettingsError as error:
            _log.critical(error.message)
            raise SystemExit(1) from error
        # With prefork the children run the nodes.
        self.process.start(runs_nodes=row.pool != "prefork")
        if self.measuring is not None and self.process.metrics is not None:
            self.measuring.serve(self.process.metrics)
        self.sweeper = make_sweeper(self.process, self.settings)
        self.sweeper.start()
        self.notes = make_note_mover(self.settings)
        if self.notes is not None:
            self.notes.start()
        self.bound_end(
            self.process,
            begin=self._begin_end,
            is_idle=self._is_idle,
            leave=self._leave,
            hands_over_within_s=_CHILDREN_END_WITHIN_S,
        )
        if row.pool == "prefork":
            self.frozen = self.process.watch_children(self.board)
            self.frozen.start()

    def stop(self, _parent: Any) -> None:
        """The pool is about to end. Leases are renewed to the end."""
        self.draining.set()

    def tell_to_end(self, sig: str, *, at_once: bool) -> None:
        """The worker was told to end by this signal; the same one again means at once."""
        if at_once or sig in self._told:
            _end_now()
        self._told.add(sig)
        self.draining.set()

    def _begin_end(self) -> None:
        """Sweep no more, and say so."""
        if self.sweeper is not None:
            self.sweeper.stop()
        if self.notes is not None:
            self.notes.stop()
        if self.process is not None:
            self.process.say_draining()

    def _is_idle(self) -> bool:
        """Whether neither this process nor a child has anything in hand: none is open any more."""
        is_idle = self.process is None or self.process.holds_nothing()
        return is_idle and not any(slot.read().pid for slot in self.board.slots)

    def _leave(self) -> NoReturn:
        """End in good order, but for what Celery would say to a broker that doesn't answer."""
        self.end()
        # No fault: nothing is lost by it, and on a busy machine Celery alone may take that long.
        _log.info("ended without a word to the broker, which is silent or slow")
        os._exit(0)

    def bound_end(
        self,
        made: WorkerProcess,
        *,
        begin: Callable[[], object],
        is_idle: Callable[[], bool],
        leave: Callable[[], object],
        hands_over_within_s: float = HANDS_OVER_WITHIN_S,
    ) -> None:
        """Have a process give up, once told to end, what it runs for longer than a drain may, and
        wait for nobody if it runs nothing.
        """
        made.ending = Ending(
            self.draining,
            self.settings.worker_drain_timeout_ms / 1000,
            begin=begin,
            give_up=made.give_up,
            end_now=_end_now,
            is_idle=is_idle,
            broker_answers=made.standby.broker_answers,
            leave=leave,
            hands_over_within_s=hands_over_within_s,
        )
        made.ending.start()

    def end(self) -> None:
        """Nothing runs any more: forget the worker. Celery may come to that meanwhile."""
        with self._end_once:
            if self.frozen is not None:
                self.frozen.stop()
            if self.process is not None:
                self.process.end()
            if self.measuring is not None:
                self.measuring.end()

    def new_process(self, row: WorkerRow, slot: Slot | None = None) -> WorkerProcess:
        """Make the parent's or a child's process, the one that this process is from now on."""
        announcer = Announcer(app, self.nodename, enabled=self.sends_events)
        metrics = None if self.measuring is None else self.measuring.begin()
        made = WorkerProcess(
            app, self.settings, row, announcer, self.draining, metrics=metrics, slot=slot
        )
        become(made)
        name_process(workerId=row.worker_id)
        return made

    def inherited(self) -> list[int]:
        """Connections of the parent that a forked child holds copies of."""
        found: list[int | None] = []
        if self.process is not None:
            found.append(self.process.leases.fileno())
        if self.sweeper is not None:
            found.append(self.sweeper.fileno())
        if self.measuring is not None:
            found.append(self.measuring.fileno())
        if self.notes is not None:
            found += self.notes.filenos()
        return [fileno for fileno in found if fileno is not None]


_keepers: list[Keeper] = []


@worker_process_init.connect
def begin_child(**_: object) -> None:
    """Make a forked child a process of its own: bound to its parent's life, own connections."""
    keeper = _keepers[0]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for fileno in keeper.inherited():
        # Closed without a word to the server: the session is the parent's.
        os.close(fileno)
    child_id = f"{keeper.worker_id}/{os.getpid()}-{secrets.token_hex(2)}"
    row = _row(keeper.settings, child_id, pool="prefork", concurrency=1, parent=keeper.worker_id)
    try:
        child: Any = current_process()
        made = keeper.new_process(row, keeper.board.slot(child.index))
        made.start()
        # What is left of a child then ends with its parent.
        keeper.bound_end(made, begin=lambda: None, is_idle=made.holds_nothing, leave=made.end)
    except SettingsError as error:
        # When a worker begins its parent meets the same, and ends it.
        _log.error(error.message)


@worker_shutting_down.connect
def begin_drain(sig: str = "", how: str = "Warm", **_: object) -> None:
    """The worker was told to end: runs are handed over at their next node boundary."""
    for keeper in _keepers:
        keeper.tell_to_end(sig, at_once=how == "Cold")


@worker_process_shutdown.connect
def end_child(**_: object) -> None:
    """A child ends in good order: nothing runs in it."""
    for each in present():
        each.end()


@worker_shutdown.connect
def end_worker(**_: object) -> None:
    """The pool has ended, and the worker does."""
    for keeper in _keepers:
        keeper.end()


def _look_here() -> None:
    """Find modules of nodes in the folder that the worker was started in, as the API does.

    Celery looks there for the app, and no more once it has that.
    """
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)


def _measuring(settings: Settings) -> Measuring | None:
    """What the worker's processes count in; None where nobody could ask for it."""
    if not (settings.enable_metrics and settings.worker_metrics_port):
        return None
    # Late: what it needs is not loaded where it isn't wanted.
    from tasks.measuring import Measuring

    return Measuring(settings)


def _end_now() -> NoReturn:
    """End this process as it is; its children are killed by the kernel."""
    os._exit(1)


def _row(
    settings: Settings, worker_id: str, *, pool: str, concurrency: int, parent: str | None = None
) -> WorkerRow:
    return WorkerRow(
        worker_id=worker_id,
        parent_worker_id=parent,
        hostname=socket.gethostname(),
        pid=os.getpid(),
        pool=pool,
        concurrency=concurrency,
        queues=list(app.amqp.queues.consume_from),
        lease_ms=settings.worker_claim_timeout_ms,
        lock_key=lock_key(worker_id),
    )


app.steps["worker"].add(Keeper)
