"""Whatever happens to the relay and to all that it reads from, a watcher reads what happened."""

from __future__ import annotations

import pytest

from app.events.log import Head, StoredEvent
from app.events.wire import type_of
from app.streams.channels import Channel
from app.streams.hub import Hub
from app.streams.relay import End, Events, Feed, Step
from app.streams.tail import Entry, RedisTail
from tests.simulation.memory import MemoryBackend
from tests.simulation.world import Scenario, simulate

#: What hurts those who watch.
KINDS = ("kill api", "drain api", "redis emptied", "redis away", "store away", "cut", "kill")
WATCHED = Scenario(kinds=KINDS, counts=(0, 2, 4), watched=1.0)
#: Redis keeps what it is told, and nobody dies between a commit and telling it.
TOLD = Scenario(
    kinds=("kill api", "drain api", "store away", "cut", "freeze"),
    counts=(0, 2, 4),
    watched=1.0,
    only_watched=1.0,
    spoiled=0.0,
)
#: A fault is found within so many seeds, or it counts as not found.
SEEDS = 200

Patch = pytest.MonkeyPatch


def found() -> str:
    """The first promise that is seen to be broken."""
    for seed in range(SEEDS):
        outcome = simulate(seed, MemoryBackend, WATCHED)
        if outcome.violation is not None:
            return str(outcome.violation)
    return pytest.fail(f"not found within {SEEDS} seeds")


def test_every_watcher_reads_all_of_it_and_the_end() -> None:
    for seed in range(60):
        outcome = simulate(seed, MemoryBackend, WATCHED)
        schedule = "\n".join(outcome.trace)
        assert outcome.violation is None, f"{schedule}\nseed {seed}: {outcome.violation!r}"


def test_events_come_from_both_sources(monkeypatch: Patch) -> None:
    """Else the schedules would prove little about the seams between them."""
    sources: list[str] = []
    from_redis, from_log = Feed._read_entries, Feed._read_log

    def note_entries(self: Feed, entries: list[Entry]) -> None:
        sources.append("redis")
        from_redis(self, entries)

    def note_log(self: Feed, up_to: int) -> None:
        sources.append("a hole" if up_to < self._channel.known else "postgres")
        from_log(self, up_to)

    monkeypatch.setattr(Feed, "_read_entries", note_entries)
    monkeypatch.setattr(Feed, "_read_log", note_log)
    for seed in range(20):
        simulate(seed, MemoryBackend, WATCHED)

    assert {"redis", "postgres", "a hole"} == set(sources)


def take_all(feed: Feed, entries: list[Entry]) -> None:
    """Take entries as they come: nobody looks whether one follows the other."""
    for entry in entries:
        for index, envelope in enumerate(entry.envelopes, entry.first_index):
            feed._keep(StoredEvent(index, type_of(envelope), envelope))
        feed._read_to = entry.first_index + len(entry.envelopes)


def test_trusting_an_entry_that_lies_beyond_ones_own_position(monkeypatch: Patch) -> None:
    def read(self: Feed) -> bool:
        position = self._read_to
        if entries := self._tail.read(self._channel.execution_id, position, 25):
            take_all(self, entries)
        else:
            self._read_log(self._channel.known)
        return self._read_to > position

    monkeypatch.setattr(Feed, "_read", read)

    fault = found()
    # What it passes over is missed by who reads on, or by who reads the end.
    assert "committed is" in fault or "reads the end before" in fault


def test_taking_an_entry_again(monkeypatch: Patch) -> None:
    def read(self: Feed) -> bool:
        position = self._read_to
        entries = self._tail.read(self._channel.execution_id, max(position - 1, -1), 25)
        if entries and entries[0].first_index <= position:
            take_all(self, entries)
        else:
            self._read_log(self._channel.known)
        return self._read_to > position

    monkeypatch.setattr(Feed, "_read", read)

    assert "watcher" in found()


def test_never_asking_postgresql_for_what_redis_did_not_tell(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Hub, "_tick", lambda _: None)

    assert "never gets its end" in found()


def test_what_redis_is_told_and_keeps_needs_no_look_at_postgresql(monkeypatch: Patch) -> None:
    """The handshake by itself: tests/unit/streams/test_handshakes.py has all its faults."""
    monkeypatch.setattr(Hub, "_tick", lambda _: None)
    for seed in range(40):
        outcome = simulate(seed, MemoryBackend, TOLD)
        assert outcome.violation is None, f"seed {seed}: {outcome.violation!r}"


def test_sending_the_end_before_the_last_event(monkeypatch: Patch) -> None:
    poll = Feed.poll

    def end_at_once(self: Feed, *, may_ask_log: bool) -> Step:
        if status := self._channel.final_status:
            return End(status, self._channel.known + 1)
        return poll(self, may_ask_log=may_ask_log)

    monkeypatch.setattr(Feed, "poll", end_at_once)

    assert "reads the end before" in found()


def test_knowing_the_status_before_the_events(monkeypatch: Patch) -> None:
    learn = Channel.learn

    def learn_half(self: Channel, head: Head | None) -> None:
        if head is not None and head.is_final:
            self._change(status=head.status)
        else:
            learn(self, head)

    monkeypatch.setattr(Channel, "learn", learn_half)

    assert "is the last event" in found()


def test_telling_watchers_to_go_on_where_they_have_not_been(monkeypatch: Patch) -> None:
    take = Feed._take
    monkeypatch.setattr(Feed, "_take", lambda self: Events(take(self).events, self._read_to))

    assert "committed is" in found()


def test_entries_of_redis_that_are_not_what_was_committed(monkeypatch: Patch) -> None:
    read = RedisTail.read

    def read_old_times(self: RedisTail, execution_id: str, first: int, limit: int) -> list[Entry]:
        entries = read(self, execution_id, first, limit)
        return [
            Entry(
                each.first_index, [line.replace(b":00:00.", b":00:59.") for line in each.envelopes]
            )
            for each in entries
        ]

    monkeypatch.setattr(RedisTail, "read", read_old_times)

    assert "4:" in found()
