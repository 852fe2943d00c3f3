"""A worker process's executor: claims executions and runs them, one after another."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from app.errors import StoreUnavailable
from app.executions.run import Run, RunEnd
from app.executions.sent import SentRun
from app.executions.surroundings import Surroundings
from app.logs import bound
from app.store.records import Claimed, Fence

#: How long (s) a process goes on with the backlog before it gives its slot back.
TIME_SLICE_S = 1.0

#: Hears of an execution that is claimed, and of the end of its run here: whether it was ours
#: to the last.
Announce = Callable[[Literal["claimed", "ended"], str, bool], None]

_log = logging.getLogger(__name__)


class Executor:
    """Runs executions in the calling thread; several threads may do so at once.

    `open_surroundings` gives a thread its own connection; `token` a fresh random text for
    each claim; `announce` hears of each claim and of how its run ended; `most_crashes` is
    RECOVERY_MAX_FAILURE_COUNT.
    """

    def __init__(
        self,
        worker_id: str,
        lease_ms: int,
        open_surroundings: Callable[[], Surroundings],
        token: Callable[[], str],
        *,
        slice_s: float = TIME_SLICE_S,
        most_crashes: int = 5,
        announce: Announce | None = None,
    ) -> None:
        self._worker_id = worker_id
        self._lease_ms = lease_ms
        self._open_surroundings = open_surroundings
        self._token = token
        self._slice_s = slice_s
        self._most_crashes = most_crashes
        self._announce = announce or _say_nothing
        #: In the order in which they began: a set's would follow from where they lie in memory, and
        #: the simulator couldn't repeat it.
        self._runs: dict[Run | SentRun, None] = {}
        self._spare: list[Surroundings] = []
        self._busy = self._lingering = 0
        self._lock = threading.Lock()

    def running(self) -> list[Run | SentRun]:
        """What runs in this process at the moment, in the order in which it began."""
        with self._lock:
            return list(self._runs)

    def is_idle(self) -> bool:
        """Whether no thread claims, runs or hands over anything here."""
        with self._lock:
            return not self._busy

    def holds_nothing(self) -> bool:
        """The same, but for threads that wait for an offer: nothing is lost with them."""
        with self._lock:
            return self._busy == self._lingering

    def work(self) -> int:
        """Run the backlog, by priority, then age, until the time slice ends.

        Gives the number of executions that were claimed.
        """
        with self._surroundings() as around:
            run = self._claim(around, None)
            until = around.clock() + self._slice_s
            count = 0
            while run is not None:
                count += 1
                self._run(run, around)
                if around.clock() >= until:
                    break
                run = self._claim(around, None) or self._claim_offered(around, until)
            return count

    def _claim_offered(self, around: Surroundings, until: float) -> Run | None:
        """Linger for a moment: what comes meanwhile costs no message.

        Where another was quicker, which happens when much comes at once, there may be more.
        """
        while not around.is_draining() and (offered := self._linger(around)) is not None:
            run = self._claim(around, offered) or self._claim(around, None)
            if run is not None or around.clock() >= until:
                return run
        return None

    def _linger(self, around: Surroundings) -> str | None:
        with self._lock:
            self._lingering += 1
        try:
            return around.linger()
        finally:
            with self._lock:
                self._lingering -= 1

    def work_step(self, execution_id: str, node_id: str) -> bool:
        """Run a step that was sent; False where there is nothing to run or it was lost."""
        with self._surroundings() as around:
            if around.is_draining():
                return False
            lease_ms, sent_at = self._lease_ms, around.clock()
            try:
                claimed = around.store.claim_step(execution_id, node_id, self._worker_id, lease_ms)
            except StoreUnavailable as error:
                # If the claim was done, the next renewal releases it; the sweep sends it anew.
                _log.warning("could not claim a step: %s", error)
                return False
            if claimed is None:
                return False
            run = SentRun(claimed, around, sent_at)
            held = self._run_step(run, around)
            if not held:
                around.let_go(execution_id)
            return held

    def _run_step(self, run: SentRun, around: Surroundings) -> bool:
        begun, held = around.clock(), False
        around.meter.claimed("step")
        with around.tracing.run(run.fence, None) as span:
            try:
                with self._registered(run):
                    held = run.drive()
            finally:
                how = "handed_in" if held else "lost"
                around.meter.left(how, around.clock() - begun)
                span.ended(how)
        return held

    @contextmanager
    def _registered(self, run: Run | SentRun) -> Iterator[None]:
        """Have the lease keeper renew what runs, and every line that is logged name it."""
        with self._lock:
            self._runs[run] = None
        try:
            with bound(**_log_fields(run.fence)):
                yield
        finally:
            with self._lock:
                self._runs.pop(run, None)

    def _run(self, run: Run, around: Surroundings) -> RunEnd:
        execution_id = run.fence.execution_id
        end: RunEnd | None = None
        begun = around.clock()
        around.meter.claimed("execution")
        self._announce("claimed", execution_id, True)
        with around.tracing.run(run.fence, run.parent_execution_id) as span:
            try:
                with self._registered(run):
                    end = run.drive()
            finally:
                how = "crashed" if end is None else end.value
                around.meter.left(how, around.clock() - begun)
                span.ended(how)
                if end is None:
                    # A fault of ours. It counts as a crash, or it would come back for ever.
                    around.store.abandon(run.fence, self._worker_id, self._most_crashes)
                self._announce("ended", execution_id, end not in (RunEnd.LOST, None))
        if end is RunEnd.LOST:
            around.let_go(execution_id)
            with bound(**_log_fields(run.fence)):
                _log.warning("execution %s is no longer this process's", execution_id)
        return end

    def _claim(self, around: Surroundings, execution_id: str | None) -> Run | None:
        """Claim an execution for a run, if there is one to claim."""
        if around.is_draining():
            return None
        sent_at = around.clock()
        claimed = self._own(around, execution_id)
        return None if claimed is None else Run(claimed, around, sent_at)

    def _own(self, around: Surroundings, execution_id: str | None) -> Claimed | None:
        """Claim; where the reply was lost, find out by the token whether it was done."""
        token = self._token()
        try:
            return around.store.claim(self._worker_id, token, self._lease_ms, execution_id)
        except StoreUnavailable:
            around.pause(0.05)
        try:
            return around.store.find_claim(self._worker_id, token)
        except StoreUnavailable as error:
            # The message was a hint. If the claim was done, the next renewal releases it.
            _log.warning("could not claim: %s", error)
            return None

    @contextmanager
    def _surroundings(self) -> Iterator[Surroundings]:
        with self._lock:
            around = self._spare.pop() if self._spare else None
            self._busy += 1
        try:
            around = around or self._open_surroundings()
            yield around
        finally:
            with self._lock:
                self._busy -= 1
                if around is not None:
                    self._spare.append(around)


def _log_fields(fence: Fence) -> dict[str, object]:
    fields: dict[str, object] = {"executionId": fence.execution_id, "epoch": fence.epoch}
    return {**fields, "nodeId": fence.node_id} if fence.node_id else fields


def _say_nothing(_event: str, _execution_id: str, _ok: bool) -> None:
    """Nobody listens."""
