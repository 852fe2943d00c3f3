"""Nobody who begins to watch misses the end, whichever step comes between which others.

With EVENT_PUBLISH=watched, and no look at PostgreSQL from time to time that would make up for it.
What speaks is real; the steps of statements, writers and watchers come in orders drawn from seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.events.log import Head, StoredEvent, status_told
from app.events.wire import EncodedEvent, envelopes, type_of
from app.streams.hub import Hub
from app.streams.lookup import HeadLookup, _Question
from app.streams.marking import Marking
from app.streams.publisher import EventPublisher
from app.streams.reader import hub_over
from app.streams.relay import End, Events, Wanted
from tests.simulation.redis import SimRedis
from tests.simulation.scheduler import Host, Scheduler
from tests.simulation.streams import SimConnection
from tests.simulation.threads import SimLock, threads_of

#: A fault is found within so many seeds, or it counts as not found.
SEEDS = 3000
#: So many are seen to keep what is promised.
KEPT = 250
#: What nobody was told of within so long (s, simulated) he missed.
MISSED_AFTER_S = 5.0
#: How much of what is asked of PostgreSQL, or answered, is lost: the part of all.
LOST = 0.03
MOST_STEPS = 20_000
#: How often a wait of up to so long (s) is over although somebody could go on: the part of all.
HURRY = 0.3
AHEAD_S = 0.05

EX = "EX1"
AT = datetime(2030, 1, 1, tzinfo=UTC)
#: What each statement of the run writes.
BOUNDARIES: Sequence[Sequence[EncodedEvent]] = (
    [("flow:started", "{}"), ("node:started", "{}")],
    [("node:completed", "{}"), ("node:started", "{}")],
    [("node:completed", "{}"), ("execution:completed", "{}")],
)


@dataclass
class Row:
    """An execution as it is committed, and who has it locked."""

    scheduler: Scheduler
    lines: list[bytes] = field(default_factory=list)
    watched: bool = False
    is_locked: bool = False

    @property
    def committed(self) -> Head:
        status = status_told(self.lines[-1]) if self.lines else None
        return Head(len(self.lines) - 1, status or "running", "local")

    def lock(self) -> None:
        while self.is_locked:
            self.scheduler.point()
        self.is_locked = True

    # -- what the relay asks (app.store.events.EventLog)

    def travel(self) -> None:
        """What is asked or answered is on its way, and may be lost."""
        self.scheduler.point()
        if self.scheduler.random.random() < LOST:
            raise StoreUnavailable("the connection is lost")

    def watch(self, execution_ids: Collection[str]) -> Collection[str]:
        self.travel()
        is_unwatched = not self.watched and not self.committed.is_final
        self.scheduler.point()
        if not is_unwatched:
            return ()
        if self.is_locked:
            return execution_ids
        self.is_locked = True
        self.scheduler.point()
        self.watched, self.is_locked = True, False
        self.travel()
        return ()

    def heads(self, execution_ids: Collection[str]) -> dict[str, Head]:
        self.travel()
        found = self.committed
        self.travel()
        return dict.fromkeys(execution_ids, found)

    def head(self, execution_id: str) -> Head | None:
        return self.heads([execution_id])[execution_id]

    def read(
        self,
        execution_id: str,
        from_index: int,
        limit: int,
        types: Collection[str] | None = None,
        *,
        up_to: int | None = None,
    ) -> list[StoredEvent]:
        self.travel()
        assert types is None
        assert up_to is not None
        found = list(enumerate(self.lines))[from_index : up_to + 1][:limit]
        return [StoredEvent(index, type_of(line), line) for index, line in found]


#: Locks the row and tells whether its execution is watched.
Guard = Callable[[Row], bool]


def guard(row: Row) -> bool:
    """Look at the row that is locked, as `UPDATE … RETURNING` does."""
    row.lock()
    return row.watched


def look_and_lock(row: Row) -> bool:
    """Look first and lock then: a planted fault."""
    is_watched = row.watched
    row.scheduler.point()
    row.lock()
    return is_watched


class Meeting:
    """One run that is written, two API processes, and three who come to watch meanwhile."""

    def __init__(self, seed: int, guard: Guard) -> None:
        self.scheduler = Scheduler(seed)
        self.row = Row(self.scheduler)
        self.ends: list[str | None] = []
        self._redis = SimRedis(self.scheduler)
        self._guard = guard
        self.scheduler.spawn(Host("worker"), "run", self._run)
        hosts = [(Host(name), self._hub()) for name in ("api1", "api2")]
        for number in range(3):
            host, hub = self.scheduler.random.choice(hosts)
            self.scheduler.spawn(host, f"watcher {number}", partial(self._watch, hub))

    def _connect(self, *, name: str, timeout_s: float) -> SimConnection:
        return SimConnection(self._redis, Host("redis"), self.scheduler, lambda: "comes")

    def _hub(self) -> Hub:
        client: Any = self._redis
        threads = threads_of(self.scheduler)
        return hub_over(self._connect, client, self.row, threads, self.row.watch)

    def _pass_some_time(self) -> None:
        random = self.scheduler.random
        self.scheduler.sleep(random.random() * random.choice((0.002, 0.01, 0.05)))

    def _run(self) -> None:
        """Do as app.executions.writer does: commit, then publish what somebody watches."""
        publisher = EventPublisher(
            "",
            ttl_s=3600,
            maxlen=10_000,
            clock=lambda: self.scheduler.now,
            lock=lambda: SimLock(self.scheduler),
            connect=self._connect,
        )
        for events in BOUNDARIES[self.scheduler.random.randrange(len(BOUNDARIES)) :]:
            self._pass_some_time()
            is_watched = self._guard(self.row)
            for _ in range(self.scheduler.random.choice((1, 3, 20))):
                self.scheduler.point()
            first = len(self.row.lines)
            lines = envelopes(EX, first, AT, events)
            self.row.lines += lines
            self.row.is_locked = False
            self.scheduler.point()
            if is_watched:
                publisher.publish(EX, first, lines)

    def _watch(self, hub: Hub) -> None:
        self._pass_some_time()
        with hub.feed(EX, self._knock(hub), Wanted(0, batch_timeout_s=0.0)) as feed:
            while isinstance(step := feed.next(MISSED_AFTER_S), Events):
                pass
        self.ends.append(step.status if isinstance(step, End) else None)

    def _knock(self, hub: Hub) -> Head:
        """Come until there is an answer."""
        while True:
            try:
                head = hub.head(EX)
            except StoreUnavailable:
                self._pass_some_time()
                continue
            assert head is not None
            return head

    def pass_by(self) -> list[str | None]:
        """Let all happen; gives what each watcher was told of the end: None if nothing."""
        scheduler = self.scheduler
        while len(self.ends) < 3 and scheduler.steps < MOST_STEPS:
            due = scheduler.next_due()
            is_due = due is not None and due < scheduler.now + AHEAD_S
            if scheduler.is_idle or (is_due and scheduler.random.random() < HURRY):
                scheduler.pass_time()
            else:
                scheduler.step()
            if scheduler.crashes:
                raise scheduler.crashes[0][1]
        scheduler.close()
        return self.ends


@pytest.fixture(autouse=True)
def no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handshake alone has to do."""
    monkeypatch.setattr(Hub, "_tick", lambda _: None)


def misses(guard: Guard = guard, seeds: int = SEEDS) -> bool:
    """Whether there is a seed in which somebody isn't told of the end."""
    return any(Meeting(seed, guard).pass_by() != ["completed"] * 3 for seed in range(seeds))


def test_nobody_misses_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    met: Counter[str] = Counter()
    watch = Row.watch

    def note(self: Row, execution_ids: Collection[str]) -> Collection[str]:
        was_watched = self.watched
        left = watch(self, execution_ids)
        met["locked" if left else "watched" if was_watched else "over or marked"] += 1
        return left

    monkeypatch.setattr(Row, "watch", note)

    assert not misses(seeds=KEPT)
    # Else the seeds would prove little.
    assert len(met) == 3
    assert min(met.values()) > KEPT / 10


def test_looking_before_it_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    def settle(self: HeadLookup, questions: Sequence[_Question]) -> None:
        heads = self._log.heads([each.execution_id for each in questions])
        assert self._mark is not None
        self._mark([EX])
        for question in questions:
            question.answer(heads.get(question.execution_id))

    monkeypatch.setattr(HeadLookup, "_settle", settle)

    assert misses()


def test_marking_late_without_another_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Marking, "_look", lambda *_: True)

    assert misses()


def test_not_trying_again_what_was_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Marking, "mark", lambda self, ids: self._try(ids))

    assert misses()


def test_forgetting_to_try_again_what_was_not_open_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    mark_left = Marking._mark_left

    def forget_all(self: Marking, channels: Any) -> None:
        mark_left(self, channels)
        self._left.clear()

    monkeypatch.setattr(Marking, "_mark_left", forget_all)

    assert misses()


def test_a_writer_that_looks_before_it_locks() -> None:
    assert misses(look_and_lock)
