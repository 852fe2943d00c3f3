"""What a worker process does while the broker is away: it looks for work itself.

Messages only save time. Where none can come, a process that runs nothing asks PostgreSQL at
every heartbeat whether there is something to claim.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from redis import Redis
from redis.exceptions import RedisError

from app.errors import StoreUnavailable
from app.store.refusals import REFUSALS

_log = logging.getLogger(__name__)


class Standby:
    """A thread beside the one that takes messages. `work` claims and runs what there is.

    `is_idle` says whether this process has a slot free; `client` is one of the broker.
    """

    def __init__(
        self,
        client: Redis,
        is_idle: Callable[[], bool],
        work: Callable[[], object],
        *,
        interval_s: float,
    ) -> None:
        self._client = client
        self._is_idle = is_idle
        self._work = work
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = self._new_thread()

    def start(self) -> None:
        """Stand by from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look for work no more, and wait for what was taken: its leases are to be kept until it
        is over, or handed over.
        """
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def broker_answers(self) -> bool:
        """Whether it answers, about a second later at most."""
        try:
            return bool(self._client.ping())
        except RedisError:
            return False

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._stand_by, name="standby", daemon=True)

    def _stand_by(self) -> None:
        """Stand by to the end. What a run ends by, as it would end a task, must not end this:
        nothing would take its place, and the process would look healthy.
        """
        try:
            self._loop()
        finally:
            if not self._stop.is_set():
                self._thread = self._new_thread()
                self._thread.start()

    def _loop(self) -> None:
        while not self._stop.wait(self._interval_s):
            if self._is_idle() and not self.broker_answers():
                _log.debug("the broker is away: looking for work")
                self._try_work()

    def _try_work(self) -> None:
        try:
            self._work()
        except StoreUnavailable as error:
            _log.warning("could not work: %s", error)
        except REFUSALS:
            _log.exception("could not work")
