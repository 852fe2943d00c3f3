"""Tells Flower, and whoever else reads Celery's events, of work that no message brought.

An execution that is taken from the backlog, and a node that runs in place, are shown as the
tasks that they would have been. A run notes what happens, which costs a microsecond; a thread
sends what was noted. Nothing of it is kept: while the broker is away, nobody watches.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import Celery
from celery.events.event import get_exchange
from celery.utils.time import utcoffset
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

#: What was noted is sent after so many seconds at most, or once it is so many notes.
FLUSH_EVERY_S = 0.5
FLUSH_AT = 100
#: Beyond so many notes no more begins are taken.
MOST_NOTES = 10_000
#: How long (s) nothing is tried after the broker could not be reached.
PAUSE_S = 2.0
#: How long (s) the end of a process waits for the last notes to go out.
LAST_FLUSH_WITHIN_S = 2.0

_ROUTING_KEY = "task.multi"

_log = logging.getLogger(__name__)

Args = tuple[str, ...]
CeleryEvent = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Began:
    name: str
    args: Args
    at: float


@dataclass(frozen=True, slots=True)
class _Ended:
    args: Args
    at: float
    ok: bool


class Announcer:
    """Announces tasks as the worker that is called `nodename`.

    Made before or after a fork, it opens its connection and its thread when there is something
    to tell, in the process that has to tell it. From any thread.
    """

    def __init__(self, app: Celery, nodename: str, *, enabled: bool) -> None:
        self._app = app
        self._nodename = nodename
        self._enabled = enabled
        self._notes: deque[_Began | _Ended] = deque()
        self._by_message: set[Args] = set()
        self._pending = _Pending(nodename)
        self._connection: Any = None
        self._producer: Any = None
        self._silent_until = 0.0
        self._any = threading.Event()
        self._enough = threading.Event()
        self._ending = False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def known(self, *args: str) -> Iterator[None]:
        """Leave a task with these arguments out: a message brought it, and Celery tells of it."""
        self._by_message.add(args)
        try:
            yield
        finally:
            self._by_message.discard(args)

    def began(self, name: str, *args: str) -> None:
        """Announce that a task begins."""
        if self._enabled and args not in self._by_message and len(self._notes) < MOST_NOTES:
            self._note(_Began(name, args, time.time()))

    def ended(self, *args: str, ok: bool) -> None:
        """Announce that it ended."""
        if self._enabled and args not in self._by_message:
            self._note(_Ended(args, time.time(), ok))

    @contextmanager
    def announced(self, name: str, *args: str) -> Iterator[None]:
        """Announce the block as a task, which ended well if nothing was raised."""
        ok = False
        self.began(name, *args)
        try:
            yield
            ok = True
        finally:
            self.ended(*args, ok=ok)

    def close(self) -> None:
        """Send what is left, if that can be done soon, and announce nothing more."""
        self._enabled = False
        self._ending = True
        self._enough.set()
        self._any.set()
        if self._thread is not None:
            self._thread.join(LAST_FLUSH_WITHIN_S)

    def _note(self, note: _Began | _Ended) -> None:
        self._notes.append(note)
        if not self._any.is_set():
            self._any.set()
            if self._thread is None:
                self._start()
        if len(self._notes) >= FLUSH_AT:
            self._enough.set()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="announcer", daemon=True)
                self._thread.start()

    def _loop(self) -> None:
        while not self._ending:
            self._any.wait()
            self._enough.wait(FLUSH_EVERY_S)
            # First cleared, then emptied: what is noted in between wakes us again.
            self._enough.clear()
            self._any.clear()
            self._flush()
        self._disconnect()

    def _flush(self) -> None:
        notes = [self._notes.popleft() for _ in range(len(self._notes))]
        events = self._pending.events(notes)
        if not events:
            return
        if time.monotonic() < self._silent_until:
            self._pending.forget()
            return
        try:
            self._send(events)
        except (OperationalError, RedisError, OSError) as error:
            _log.debug("could not announce %d events: %s", len(events), error)
            self._pending.forget()
            self._disconnect()
            self._silent_until = time.monotonic() + PAUSE_S

    def _send(self, events: list[CeleryEvent]) -> None:
        if self._producer is None:
            self._connection = self._app.connection_for_write()
            self._producer = self._connection.Producer(
                exchange=get_exchange(self._connection, self._app.conf.event_exchange),
                serializer=self._app.conf.event_serializer,
            )
        # Not by Celery's EventDispatcher: it stamps its logical clock on every event, and that
        # of a forked child stands still, which would sort all this before what is long past.
        self._producer.publish(
            events,
            routing_key=_ROUTING_KEY,
            headers={"hostname": self._nodename},
            delivery_mode="transient",
            retry=False,
        )

    def _disconnect(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.release()


class _Pending:
    """Makes Celery's events of notes, and remembers which tasks have begun. For one thread."""

    def __init__(self, nodename: str) -> None:
        self._nodename = nodename
        self._begun: dict[Args, tuple[str, float]] = {}

    def events(self, notes: list[_Began | _Ended]) -> list[CeleryEvent]:
        """Give the events to send, in order."""
        stamp = {"hostname": self._nodename, "utcoffset": utcoffset(), "pid": os.getpid()}
        events: list[CeleryEvent] = []
        for note in notes:
            match note:
                case _Began():
                    events += [each | stamp for each in self._begin(note)]
                case _Ended():
                    events += [each | stamp for each in self._end(note)]
        return events

    def forget(self) -> None:
        """What was made can't be sent: say nothing of the ends of tasks whose begin is lost."""
        self._begun.clear()

    def _begin(self, note: _Began) -> list[CeleryEvent]:
        task_id = str(uuid.uuid4())
        self._begun[note.args] = task_id, note.at
        received = {
            "type": "task-received",
            "uuid": task_id,
            "name": note.name,
            "args": repr(note.args),
            "kwargs": "{}",
            "root_id": task_id,
            "parent_id": None,
            "retries": 0,
            "timestamp": note.at,
        }
        return [received, {"type": "task-started", "uuid": task_id, "timestamp": note.at}]

    def _end(self, note: _Ended) -> list[CeleryEvent]:
        task_id, begun_at = self._begun.pop(note.args, (None, 0.0))
        if task_id is None:
            return []
        ended: CeleryEvent = {"uuid": task_id, "timestamp": note.at}
        if note.ok:
            runtime = note.at - begun_at
            return [ended | {"type": "task-succeeded", "result": "None", "runtime": runtime}]
        lost = "it was stopped, is another worker's now, or an error ended it: see the worker's log"
        return [ended | {"type": "task-failed", "exception": lost, "traceback": ""}]
