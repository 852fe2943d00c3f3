"""How long the end of a worker's process may take, whatever it waits for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from tasks.draining import DrainFlag

#: What is given up is handed over within so long (s); then the process ends as it is.
HANDS_OVER_WITHIN_S = 3.0
#: How often (s) it is looked whether anything but Celery holds the process up.
LOOK_EVERY_S = 0.2
#: Celery ends a process that has nothing in hand within so long (s), or waits for what never comes:
#: a second for its last look at the broker, and as much again as a busy machine needs.
CELERY_ENDS_WITHIN_S = 5.0

_log = logging.getLogger(__name__)


class Ending:
    """A thread of each process of a worker that is told to end.

    At once it calls `begin`. What still runs after `timeout_s` is given up by `give_up`, and a
    process that is not over soon after that is ended by `end_now`: nothing that Celery waits
    for, a node or a broker that doesn't answer, holds it any longer.

    A process that `is_idle`, with nothing in hand, isn't held at all by a broker that is silent
    (`broker_answers`), or by whatever else Celery waits for: it ends in good order by `leave`.
    """

    def __init__(
        self,
        flag: DrainFlag,
        timeout_s: float,
        *,
        begin: Callable[[], object],
        give_up: Callable[[], int],
        end_now: Callable[[], object],
        is_idle: Callable[[], bool],
        broker_answers: Callable[[], bool],
        leave: Callable[[], object],
        hands_over_within_s: float = HANDS_OVER_WITHIN_S,
        celery_ends_within_s: float = CELERY_ENDS_WITHIN_S,
    ) -> None:
        self._flag = flag
        self._timeout_s = timeout_s
        self._begin = begin
        self._give_up = give_up
        self._end_now = end_now
        self._is_idle = is_idle
        self._broker_answers = broker_answers
        self._leave = leave
        self._hands_over_within_s = hands_over_within_s
        self._celery_ends_within_s = celery_ends_within_s
        self._is_silent = self._is_leaving = False
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
        told_at = time.monotonic()
        self._begin()
        if self._is_over_within(self._timeout_s, told_at):
            return
        if count := self._give_up():
            _log.warning("gave up %d runs: their nodes take longer than a drain may", count)
        if not self._is_over_within(self._hands_over_within_s, told_at):
            _log.error("not over in time: ended as it is")
            self._end_now()

    def _is_over_within(self, seconds: float, told_at: float) -> bool:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._is_over.wait(min(left, LOOK_EVERY_S)):
                return True
            if not self._is_leaving and self._is_held_by_celery(told_at):
                self._is_leaving = True
                # Beside this thread, which bounds that as well.
                threading.Thread(target=self._leave, name="leaving", daemon=True).start()
        return self._is_over.is_set()

    def _is_held_by_celery(self, told_at: float) -> bool:
        # Asked before it matters: the answer that doesn't come is waited for meanwhile.
        self._is_silent = self._is_silent or not self._broker_answers()
        is_late = time.monotonic() >= told_at + self._celery_ends_within_s
        return (self._is_silent or is_late) and self._is_idle()
