"""The lease keeper: a thread that renews what runs in its process, one statement a heartbeat."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from app.errors import StoreUnavailable
from app.store.leases import PgLeaseStore
from app.store.records import Fence
from app.store.refusals import REFUSALS

_log = logging.getLogger(__name__)


class Leaseholder(Protocol):
    """A run, as its lease keeper sees it."""

    fence: Fence

    def confirm(self, sent_at: float, requested: str | None, wake: int) -> None:
        """A renewal that was sent at `sent_at` found the fence to hold, and this requested.

        `wake` counts what has arrived for the execution.
        """
        ...

    def disown(self) -> None:
        """A renewal found that the fence doesn't hold."""
        ...


class LeaseKeeper:
    """Renews the leases of one process, and holds the lock that tells its death.

    `running` gives what really runs at the moment; what else this process has claimed is
    released; `is_draining` says that it takes nothing more. Start it after the fork.
    """

    def __init__(
        self,
        store: PgLeaseStore,
        running: Callable[[], Iterable[Leaseholder]],
        *,
        heartbeat_s: float,
        lease_s: float,
        is_draining: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._running = running
        self._heartbeat_s = heartbeat_s
        self._lease_s = lease_s
        self._is_draining = is_draining
        self._is_told = False
        self._clock = clock
        self._renewed_at: float | None = None
        self._unbroken_since: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="leases", daemon=True)

    def start(self) -> None:
        """Register, and renew from now on."""
        self._try_renewal()
        self._thread.start()

    def fileno(self) -> int | None:
        """The connection's file descriptor: a forked child must close its copy."""
        return self._store.fileno()

    def stop(self, *, unregister: bool) -> None:
        """Stop renewing; in good order (nothing runs any more) also forget the process."""
        self._stop.set()
        self._thread.join(self._heartbeat_s + 1)
        if unregister and not self._thread.is_alive():
            try:
                self._store.unregister()
            except StoreUnavailable as error:
                _log.info("left the registration to the sweep: %s", error)
        self._store.close()

    def renew(self) -> None:
        """One heartbeat. Raises StoreUnavailable."""
        if self._store.register():
            self._is_told = False
        if self._is_draining() and not self._is_told:
            self._store.set_status("draining")
            self._is_told = True
        runs = {run.fence: run for run in self._running()}
        sent_at = self._clock()
        held = {each.fence: each for each in self._store.renew(list(runs))}
        for fence, run in runs.items():
            if fence in held:
                run.confirm(sent_at, held[fence].requested, held[fence].wake)
            else:
                run.disown()
        self._release_strays(list(runs))
        self._note_renewal(sent_at)

    def _release_strays(self, fences: list[Fence]) -> None:
        """Release what is claimed and runs nowhere in this process.

        The answers may have been long on their way: what was claimed and has begun to run in the
        meantime is none.
        """
        strays = self._store.strays(fences)
        if strays:
            running = {run.fence for run in self._running()}
            self._store.release([each for each in strays if each not in running])

    def may_judge(self) -> bool:
        """Whether this process renewed for one lease without a break, up to now.

        After an outage of PostgreSQL every lease has run out, and nobody is to blame.
        """
        if self._unbroken_since is None or self._renewed_at is None:
            return False
        now = self._clock()
        is_fresh = now - self._renewed_at <= self._longest_gap_s
        return is_fresh and now - self._unbroken_since >= self._lease_s

    @property
    def _longest_gap_s(self) -> float:
        return 2 * self._heartbeat_s

    def _note_renewal(self, at: float) -> None:
        if self._renewed_at is None or at - self._renewed_at > self._longest_gap_s:
            self._unbroken_since = at
        self._renewed_at = at

    def _loop(self) -> None:
        while not self._stop.wait(self._heartbeat_s):
            self._try_renewal()

    def _try_renewal(self) -> None:
        try:
            self.renew()
        except StoreUnavailable as error:
            _log.warning("could not renew: %s", error)
        except REFUSALS:
            _log.exception("could not renew")
