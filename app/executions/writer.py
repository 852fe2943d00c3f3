"""The one writer of a run: gathers what happened, commits it under the fence, then tells it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import TypeVar

from app.errors import StoreUnavailable
from app.events.fitting import fit_event
from app.events.types import Event, EventType
from app.events.wire import FIRST_INDEX, EncodedEvent, envelopes
from app.executions.herald import SILENCE, Herald
from app.executions.meter import UNMEASURED, Meter
from app.store.protocol import RunStore
from app.store.records import (
    Boundary,
    CheckpointRow,
    Ending,
    Family,
    Fence,
    NewChild,
    Pausing,
    Progress,
    Recalled,
    Request,
    ResolutionRow,
    Void,
    Written,
)

#: Live events are gathered for so long (s).
GATHER_LIVE_S = 0.005
#: What is said after a silence of that length goes out after so long (s): there is nothing yet to
#: be gathered with, and a node that says its last words ends within this.
GATHER_FIRST_S = 0.001
#: Checkpoints of pure nodes wait so long (s) for others to be written with.
GATHER_PURE_S = 0.05
#: Waits (s) between attempts to reach a store that is away: the first, and the longest.
BACKOFF_FIRST_S = 0.05
BACKOFF_LAST_S = 1.0

T = TypeVar("T")

Publish = Callable[[str, int, Sequence[bytes]], object]


#: Waits for so many seconds.
Pause = Callable[[float], object]


class Outcome(Enum):
    """What came of a commit.

    AGAIN: nothing was written, because something else is requested than was known; what was
    tentative is dropped, and it is to be decided anew.
    """

    HELD = "held"
    AGAIN = "again"
    LOST = "lost"


class Writer:
    """Writes for one claimed execution, from one thread."""

    def __init__(
        self,
        store: RunStore,
        publish: Publish,
        fence: Fence,
        writes: int,
        *,
        clock: Callable[[], float],
        pause: Pause,
        request: Request | None = None,
        herald: Herald = SILENCE,
        meter: Meter = UNMEASURED,
        only_watched: bool = False,
    ) -> None:
        self.fence = fence
        self.writes = writes
        #: When the statement that last confirmed the fence was sent (on `clock`).
        self.confirmed_at = clock()
        #: The store's time of the last write.
        self.written_at: datetime | None = None
        #: When what is gathered must be written (on `clock`); None while nothing is.
        self.due_at: float | None = None
        #: The command that is requested of this run, as far as it knows.
        self.request = request
        self._store = store
        self._publish = publish
        self._clock = clock
        self._pause = pause
        self._herald = herald
        self._meter = meter
        self._only_watched = only_watched
        self._wrote_at = clock()
        self._born: list[NewChild] = []
        self._noted: list[str] = []
        self._events: list[EncodedEvent] = []
        self._checkpoints: list[CheckpointRow] = []
        self._resolutions: list[ResolutionRow] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is gathered."""
        return not self._events and not self._checkpoints and not self._resolutions

    @property
    def mark(self) -> int:
        """The place behind what is gathered: what is told from here on may be tentative."""
        return len(self._events)

    def gather(self, events: Iterable[Event], within_s: float) -> None:
        """Add events, to be written within so many seconds."""
        before, execution_id = len(self._events), self.fence.execution_id
        for event in events:
            self._events += fit_event(execution_id, event)
        if len(self._events) > before:
            self.hurry(within_s)

    def gather_live(self, events: Iterable[Event]) -> None:
        """Add what a running node says: it is waited for."""
        is_after_silence = self._clock() - self._wrote_at >= GATHER_LIVE_S
        self.gather(events, GATHER_FIRST_S if is_after_silence else GATHER_LIVE_S)

    def add(self, checkpoint: CheckpointRow) -> None:
        """Add a checkpoint."""
        if checkpoint.replaces:
            # A timer that was due at once: one statement writes a node's row only once.
            self._checkpoints = [
                each for each in self._checkpoints if each.node_id != checkpoint.node_id
            ]
        self._checkpoints.append(checkpoint)
        self.hurry(GATHER_PURE_S)

    def add_resolution(self, resolution: ResolutionRow) -> None:
        """Add an output that a running node gave."""
        self._resolutions.append(resolution)
        self.hurry(GATHER_PURE_S)

    def bear(self, child: NewChild) -> None:
        """Add a child that is to be made; what is told of it is among the events."""
        self._born.append(child)

    def note(self, child_id: str) -> None:
        """Add the end of a child; it is told among the events."""
        self._noted.append(child_id)

    def hurry(self, within_s: float) -> None:
        """Have what is gathered written within so many seconds."""
        due_at = self._clock() + within_s
        self.due_at = due_at if self.due_at is None else min(self.due_at, due_at)

    def commit(
        self,
        grants: str,
        progress: Progress,
        ending: Ending | None = None,
        *,
        pausing: Pausing | None = None,
        mark: int | None = None,
    ) -> Outcome:
        """Write what is gathered and publish it.

        Events from `mark` on are tentative: a command that was not known of drops them. Waits
        for a store that is away: nothing runs on without its checkpoint.
        """
        while True:
            known = self.request.command if self.request else None
            boundary = Boundary(
                self._events,
                self._checkpoints,
                grants,
                progress,
                ending,
                pausing,
                known,
                tuple(self._resolutions),
                self._family(),
            )
            match self._write(boundary):
                case Written() as written:
                    break
                case Void():
                    self._meter.fenced()
                    return Outcome.LOST
                case Recalled(request):
                    self.request = request
            if mark is not None and mark < len(self._events):
                del self._events[mark:]
                return Outcome.AGAIN
        self._events, self._checkpoints, self._resolutions = [], [], []
        self.due_at = None
        self._born, self._noted = [], []
        self.writes += 1
        self.written_at = written.at
        self._count(boundary)
        self._wrote_at = self._clock()
        self._tell(boundary, written)
        return Outcome.HELD

    def _count(self, boundary: Boundary) -> None:
        took_s = self._clock() - self.confirmed_at
        status = boundary.ending.status if boundary.ending else None
        born = len(boundary.family.born) if boundary.family else 0
        self._meter.committed(took_s, len(boundary.checkpoints), born, status)

    def _family(self) -> Family | None:
        if not self._born and not self._noted:
            return None
        return Family(self._born, self._noted, sum(child.counts for child in self._born))

    def _tell(self, boundary: Boundary, written: Written) -> None:
        """Publish what was committed, and have others go on with what was made or stopped."""
        execution_id, at = self.fence.execution_id, written.at
        if written.is_watched or not self._only_watched:
            lines = envelopes(execution_id, written.first_index, at, boundary.events)
            self._publish(execution_id, written.first_index, lines)
        if boundary.family is not None and boundary.family.born:
            if not self._only_watched:
                self._tell_births(boundary.family.born, at)
            self._herald.hint([child.id for child in boundary.family.born])
        for effect in written.stopped:
            self._herald.tell(effect, "stop")

    def _tell_births(self, born: Iterable[NewChild], at: datetime) -> None:
        for child in born:
            created = [(EventType.EXECUTION_CREATED, child.created_event)]
            self._publish(child.id, FIRST_INDEX, envelopes(child.id, FIRST_INDEX, at, created))

    def hear(self) -> bool:
        """Ask what is requested of this run; False: this process doesn't own it any more."""
        sent_at = 0.0

        def ask() -> Request | Void | None:
            nonlocal sent_at
            sent_at = self._clock()
            return self._store.requested(self.fence)

        answer = insist(ask, self._pause)
        if isinstance(answer, Void):
            return False
        self.confirmed_at = max(self.confirmed_at, sent_at)
        self.request = answer
        return True

    def _write(self, boundary: Boundary) -> Written | Void | Recalled:
        sent_at = self._clock()

        def settle() -> Written | Void | Recalled:
            nonlocal sent_at
            sent_at = self._clock()
            return self._store.settle_unknown(self.fence, self.writes, boundary)

        try:
            outcome = self._store.write(self.fence, self.writes, boundary)
        except StoreUnavailable:
            outcome = insist(settle, self._pause)
        self.confirmed_at = sent_at
        return outcome


def insist(ask: Callable[[], T], pause: Pause) -> T:
    """Ask until the store answers: whoever holds an execution holds it through an outage."""
    wait_s = BACKOFF_FIRST_S
    while True:
        try:
            return ask()
        except StoreUnavailable:
            pause(wait_s)
            wait_s = min(wait_s * 2, BACKOFF_LAST_S)
