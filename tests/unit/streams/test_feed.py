"""A feed over a log and a tail that are lists, so that each case can be put by hand."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import StoreUnavailable
from app.events.log import Head, StoredEvent
from app.streams import relay
from app.streams.channels import Channel
from app.streams.relay import End, Events, Feed, Gone, Wanted
from app.streams.tail import Entry

TYPES = ("execution:created", "node:started", "node:completed")


def line(index: int, event_type: str, size: int = 10) -> bytes:
    return f'{{"index":{index},"type":"{event_type}","x":"{"x" * size}"}}'.encode()


class Log:
    """All events of one execution, from index -1 on."""

    def __init__(self, types: list[str], size: int = 10) -> None:
        self.events = [StoredEvent(i, t, line(i, t, size)) for i, t in enumerate(types, -1)]
        self.is_away = False
        self.is_deleted = False
        self.reads = 0

    @property
    def last(self) -> int:
        return self.events[-1].index

    def read(
        self,
        execution_id: str,
        from_index: int,
        limit: int,
        types: Collection[str] | None = None,
        *,
        up_to: int | None = None,
    ) -> list[StoredEvent]:
        self.reads += 1
        if self.is_away:
            raise StoreUnavailable
        if self.is_deleted:
            return []
        until = self.last if up_to is None else up_to
        found = [event for event in self.events if from_index <= event.index <= until]
        return [event for event in found if types is None or event.type in types][:limit]

    def heads(self, execution_ids: Collection[str]) -> dict[str, Head]:
        if self.is_away:
            raise StoreUnavailable
        status = self.events[-1].type.removeprefix("execution:")
        head = Head(self.last, status if status == "failed" else "running", "local")
        return {} if self.is_deleted else dict.fromkeys(execution_ids, head)

    def head(self, execution_id: str) -> Head | None:
        return self.heads([execution_id]).get(execution_id)


class MemoryTail:
    """The entries that Redis happens to have."""

    def __init__(self, *entries: Entry) -> None:
        self.entries = entries

    def read(self, execution_id: str, from_index: int, limit: int) -> list[Entry]:
        return [entry for entry in self.entries if entry.first_index >= from_index][:limit]


def entries_of(log: Log, sizes: list[int], kept: list[bool]) -> list[Entry]:
    """Cut the log into batches, of which Redis kept some."""
    entries, at = [], 0
    for size, is_kept in zip(sizes, kept, strict=False):
        batch = log.events[at : at + size]
        at += size
        if batch and is_kept:
            entries.append(Entry(batch[0].index, [event.envelope for event in batch]))
    return entries


def feed_of(log: Log, tail: MemoryTail, wanted: Wanted) -> Feed:
    head = log.head("EX1")
    assert head is not None
    return Feed(Channel("EX1", head), tail, log, wanted)


def drain(feed: Feed) -> tuple[list[Events], object]:
    frames = []
    while isinstance(step := feed.next(0), Events):
        frames.append(step)
    return frames, step


def test_who_is_past_the_end_of_a_log_that_fell_back_is_told_the_end() -> None:
    log = Log(["execution:created", "flow:started", "execution:failed"])
    channel = Channel("EX1", Head(9, "running", "local"))
    feed = Feed(channel, MemoryTail(), log, Wanted(from_index=5, batch_timeout_s=0))

    assert drain(feed) == ([], End("failed", 5))


@given(
    types=st.lists(st.sampled_from(TYPES), max_size=60),
    ended=st.booleans(),
    sizes=st.lists(st.integers(1, 5), min_size=70, max_size=70),
    kept=st.lists(st.booleans(), min_size=70, max_size=70),
    from_index=st.integers(-1, 70),
    wants=st.none() | st.frozensets(st.sampled_from(TYPES)),
    batch_size=st.integers(1, 30),
    event_bytes=st.sampled_from([10, 30_000, 300_000]),
)
def test_whatever_redis_lost_each_event_comes_once_and_in_order(
    types: list[str],
    ended: bool,
    sizes: list[int],
    kept: list[bool],
    from_index: int,
    wants: frozenset[str] | None,
    batch_size: int,
    event_bytes: int,
) -> None:
    log = Log([*types, "execution:failed" if ended else "node:started"], event_bytes)
    tail = MemoryTail(*entries_of(log, sizes, kept))
    feed = feed_of(log, tail, Wanted(from_index, wants, batch_size, 0))
    frames, last = drain(feed)
    assert [event for frame in frames for event in frame.events] == [
        event
        for event in log.events
        if event.index >= from_index and (wants is None or event.type in wants)
    ]
    assert all(1 <= len(frame.events) <= batch_size for frame in frames)
    for frame, following in pairwise(frames):
        assert frame.events[-1].index < frame.next_index <= following.events[0].index
    assert last == (End("failed", log.last + 1) if ended else None)


def test_nothing_is_read_from_the_log_that_redis_has() -> None:
    log = Log(["execution:created", "node:started", "execution:failed"])
    feed = feed_of(log, MemoryTail(*entries_of(log, [2, 1], [True, True])), Wanted())
    drain(feed)
    assert log.reads == 0


def test_while_the_log_is_away_the_reader_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "REST_S", 0)
    log = Log(["execution:created", "node:started"])
    feed = feed_of(log, MemoryTail(), Wanted(batch_timeout_s=0))
    log.is_away = True
    assert feed.next(0) is None
    log.is_away = False
    assert isinstance(feed.next(0), Events)


def test_while_the_log_is_away_redis_is_read_on() -> None:
    log = Log(["execution:created", "node:started", "execution:failed"])
    feed = feed_of(log, MemoryTail(*entries_of(log, [2, 1], [True, True])), Wanted())
    log.is_away = True
    [frame], end = drain(feed)
    assert len(frame.events) == 3
    assert end == End("failed", 2)


def test_an_execution_deleted_while_it_is_read_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "REST_S", 0)
    log = Log(["execution:created"] * 300)
    feed = feed_of(log, MemoryTail(), Wanted(batch_timeout_s=0))
    assert isinstance(feed.next(0), Events)
    log.is_deleted = True
    while (step := feed.next(0)) is None:
        pass
    assert step == Gone()


def test_an_interrupted_reader_waits_no_more() -> None:
    log = Log(["execution:created"])
    head = log.head("EX1")
    assert head is not None
    channel = Channel("EX1", head)
    feed = Feed(channel, MemoryTail(), log, Wanted(from_index=5, batch_timeout_s=0))
    channel.interrupt()
    assert feed.next(60) is None
