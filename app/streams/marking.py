"""Having executions marked as watched, for publishers that publish only that.

Nobody waits for a row that another holds: it is marked soon after, and its execution is looked
at until then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence

from app.errors import StoreUnavailable
from app.events.log import EventSource
from app.streams.channels import Channel, Channels
from app.streams.threads import Threads

#: What couldn't be marked is tried again so much later (s), then each time twice as long …
FIRST_AGAIN_S = 0.005
#: … up to this.
AGAIN_S = 0.1
#: What nobody opens within so long (s) is forgotten: its client went away before.
FORGOTTEN_AFTER_S = 60.0

_log = logging.getLogger(__name__)

#: Marks executions as watched; gives those that couldn't be yet. May raise StoreUnavailable.
Watch = Callable[[Collection[str]], Collection[str]]


class Marking:
    """What is to be marked in one process. `mark` may come from any thread."""

    def __init__(self, watch: Watch, log: EventSource, threads: Threads) -> None:
        self._watch = watch
        self._log = log
        self._clock = threads.clock
        self._lock = threading.Lock()
        #: What couldn't be marked, and since when (s, monotonic).
        self._left: dict[str, float] = {}
        self._changed = threads.flag()
        self._is_closed = False

    def mark(self, execution_ids: Sequence[str]) -> None:
        """Have these marked before their logs are looked at: now if that can be, else soon."""
        left = self._try(execution_ids)
        if left:
            with self._lock:
                for each in left:
                    self._left.setdefault(each, self._clock())
            self._changed.set()

    def serve(self, channels: Channels) -> None:
        """Mark what couldn't be marked at first, until `close`."""
        pause_s = FIRST_AGAIN_S
        while not self._is_closed:
            if not self._left:
                pause_s = FIRST_AGAIN_S
                self._changed.wait()
            else:
                self._changed.wait(pause_s)
                pause_s = min(2 * pause_s, AGAIN_S)
            self._changed.clear()
            self._mark_left(channels)

    def close(self) -> None:
        """End `serve`."""
        self._is_closed = True
        self._changed.set()

    def _mark_left(self, channels: Channels) -> None:
        watched = [each for each in channels.all() if each.execution_id in self._left]
        left = self._try([each.execution_id for each in watched])
        # Those still left are looked at as well: nobody publishes for them.
        if watched and self._look(watched):
            self._forget({each.execution_id for each in watched}.difference(left))
        self._forget_the_unopened()

    def _try(self, execution_ids: Sequence[str]) -> Collection[str]:
        try:
            return self._watch(execution_ids) if execution_ids else ()
        except StoreUnavailable as error:
            _log.warning("executions can't be marked as watched: %s", error)
            return execution_ids

    def _look(self, watched: Sequence[Channel]) -> bool:
        try:
            heads = self._log.heads([each.execution_id for each in watched])
        except StoreUnavailable as error:
            _log.warning("watched executions can't be looked up: %s", error)
            return False
        for channel in watched:
            channel.learn(heads.get(channel.execution_id))
        return True

    def _forget(self, execution_ids: Collection[str]) -> None:
        with self._lock:
            for each in execution_ids:
                self._left.pop(each, None)

    def _forget_the_unopened(self) -> None:
        before = self._clock() - FORGOTTEN_AFTER_S
        with self._lock:
            self._left = {each: since for each, since in self._left.items() if since >= before}
