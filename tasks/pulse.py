"""A process's signs of life, and what it does once nodes in it don't yield."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from app.executions.node_watch import NodeWatch
from tasks.frozen import LOOK_EVERY_S

#: So many nodes that don't yield a process with the thread pool bears; then it is to be replaced.
MOST_STUCK_THREADS = 8

_log = logging.getLogger(__name__)


class Pulse:
    """A thread of each process that runs nodes.

    `beat` gives a sign of life. Once `most_stuck` nodes were told to end and run on, `retire` is
    called, once; from then on `end` is, as soon as nothing runs here (`is_idle`) any more.
    """

    def __init__(
        self,
        watch: NodeWatch,
        *,
        most_stuck: int,
        beat: Callable[[], object],
        retire: Callable[[], object],
        is_idle: Callable[[], bool],
        end: Callable[[], object],
    ) -> None:
        self._watch = watch
        self._most_stuck = most_stuck
        self._beat = beat
        self._retire = retire
        self._is_idle = is_idle
        self._end = end
        self._is_retired = self._was_idle = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="pulse", daemon=True)

    def start(self) -> None:
        """Beat from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._stop.set()

    def look(self) -> None:
        """One beat."""
        self._beat()
        self._watch.look()
        if not self._is_retired:
            self._retire_if_stuck()
        elif self._is_idle():
            if self._was_idle:
                self._end()
            # Whoever was busy just now may have a word left to say to the pool.
            self._was_idle = True

    def _retire_if_stuck(self) -> None:
        stuck = self._watch.stuck()
        if len(stuck) >= self._most_stuck:
            names = ", ".join(f"{step.execution_id}:{step.node_id}" for step in stuck)
            _log.error("this process is to be replaced: nodes don't yield: %s", names)
            self._is_retired = True
            self._retire()

    def _loop(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            self.look()
