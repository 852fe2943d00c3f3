"""Who has news: one thread that reads streams, one that asks the log, for all that is watched.

They note how far each log reaches, and nothing else; each reader fetches its own events.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from app.errors import StoreUnavailable
from app.events.log import EventSource, Head
from app.streams.channels import Channels
from app.streams.lookup import HeadLookup
from app.streams.marking import Marking, Watch
from app.streams.relay import Feed, Wanted
from app.streams.tail import Tail
from app.streams.threads import THREADS, Joinable, Threads

#: How often (s) PostgreSQL is asked: what Redis didn't tell is so late at most.
TICK_S = 0.5
#: How long (s) closing waits for each of the threads.
ENDS_WITHIN_S = 1.0
_log = logging.getLogger(__name__)


class Reader(Protocol):
    """Reads who has news. For one thread; `wake` may come from another."""

    def read(self, channels: Channels) -> float:
        """Wait for entries and note them; how long (s) to pause afterwards."""
        ...

    def wake(self) -> None:
        """End the waiting: look again at what is watched."""
        ...

    def close(self) -> None:
        """Give its connections up; it reads no more."""
        ...


class Hub:
    """The watched executions of one API process. Its threads begin with the first watch.

    `watch` is called with what is about to be watched, before its head is read: for publishers
    that publish only that. What it gives couldn't be marked yet, and is tried again soon.
    """

    def __init__(
        self,
        log: EventSource,
        tail: Tail,
        reader: Reader,
        threads: Threads = THREADS,
        watch: Watch | None = None,
    ) -> None:
        self._log = log
        self._marking = None if watch is None else Marking(watch, log, threads)
        mark = None if self._marking is None else self._marking.mark
        self._lookup = HeadLookup(log, threads.flag, mark)
        self._tail = tail
        self._reader = reader
        self._channels = Channels(self._reader.wake, threads.condition)
        self._threads = threads
        self._begun: list[Joinable] = []
        self._closed = threads.flag()
        self._lock = threading.Lock()

    def head(self, execution_id: str) -> Head | None:
        """Where the log of an execution ends; None if there is none. Raises StoreUnavailable."""
        return self._lookup.head(execution_id)

    @contextmanager
    def feed(self, execution_id: str, head: Head, wanted: Wanted) -> Iterator[Feed]:
        """Read an execution's events, past and to come. `head` was read a moment ago."""
        feed = self.open(execution_id, head, wanted)
        try:
            yield feed
        finally:
            self.release(feed)

    def open(self, execution_id: str, head: Head, wanted: Wanted) -> Feed:
        """The same, for who releases the feed later."""
        self._start()
        channel = self._channels.open(execution_id, head)
        return Feed(channel, self._tail, self._log, wanted, self._threads.clock)

    def release(self, feed: Feed) -> None:
        """A feed is read no more."""
        self._channels.close(feed.channel)

    def interrupt(self) -> None:
        """End every wait of every feed, present and to come."""
        self._channels.interrupt()

    def close(self) -> None:
        """End the threads and every wait, and give the connections up."""
        self._closed.set()
        self.interrupt()
        if self._marking is not None:
            self._marking.close()
        if self._begun:
            self._reader.wake()
        for thread in self._begun:
            thread.join(ENDS_WITHIN_S)
        self._reader.close()
        self._tail.close()

    def _start(self) -> None:
        with self._lock:
            if self._begun or self._closed.is_set():
                return
            bodies = [self._read, self._tick]
            if self._marking is not None:
                bodies.append(self._mark)
            for body in bodies:
                self._begun.append(self._threads.begin(f"hub{body.__name__}", body))

    def _read(self) -> None:
        while not self._closed.is_set():
            pause_s = self._reader.read(self._channels)
            self._closed.wait(pause_s)

    def _mark(self) -> None:
        assert self._marking is not None
        self._marking.serve(self._channels)

    def _tick(self) -> None:
        while not self._closed.wait(TICK_S):
            channels = self._channels.all()
            if not channels:
                continue
            try:
                heads = self._log.heads([each.execution_id for each in channels])
            except StoreUnavailable as error:
                # Sockets stay open; Redis may go on telling.
                _log.warning("watched executions can't be looked up: %s", error)
                continue
            for channel in channels:
                channel.learn(heads.get(channel.execution_id))
