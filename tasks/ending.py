"""How long the end of a worker's process may take, whatever it waits for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tasks.draining import DrainFlag

#: What is given up is handed over within so long (s); then the process ends as it is.
HANDS_OVER_WITHIN_S = 3.0

_log = logging.getLogger(__name__)


class Ending:
    """A thread of each process of a worker that is told to end.

    At once it calls `begin`. What still runs after `timeout_s` is given up by `give_up`, and a
    process that is not over soon after that is ended by `end_now`: nothing that Celery waits
    for, a node or a broker that doesn't answer, holds it any longer.
    """

    def __init__(
        self,
        flag: DrainFlag,
        timeout_s: float,
        *,
        begin: Callable[[], object],
        give_up: Callable[[], int],
        end_now: Callable[[], object],
        hands_over_within_s: float = HANDS_OVER_WITHIN_S,
    ) -> None:
        self._flag = flag
        self._timeout_s = timeout_s
        self._begin = begin
        self._give_up = give_up
        self._end_now = end_now
        self._hands_over_within_s = hands_over_within_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="ending", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def over(self) -> None:
        """The process has let go of everything: it ends by itself."""
        self._is_over.set()

    def _loop(self) -> None:
        self._flag.wait()
        self._begin()
        if self._is_over.wait(self._timeout_s):
            return
        if count := self._give_up():
            _log.warning("gave up %d runs: their nodes take longer than a drain may", count)
        if not self._is_over.wait(self._hands_over_within_s):
            _log.error("not over in time: ended as it is")
            self._end_now()
