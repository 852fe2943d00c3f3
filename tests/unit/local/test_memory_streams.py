"""Streams in this process: what they keep, refuse and forget."""

from __future__ import annotations

import pytest

from app.events.log import Head
from app.events.wire import envelope
from app.local.streams import MemoryReader, MemoryStreams
from app.streams.channels import Channels
from app.streams.protocol import Batch


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def streams(clock: Clock) -> MemoryStreams:
    return MemoryStreams(clock, ttl_s=60, maxlen=3)


def indexes(streams: MemoryStreams, execution: str = "EX1", start: int = -1) -> list[int]:
    return [entry.first_index for entry in streams.read(execution, start, 100)]


def test_what_was_published_before_is_refused(streams: MemoryStreams) -> None:
    streams.publish("EX1", 0, [b"a", b"b"])
    streams.publish("EX1", 0, [b"x"])
    streams.publish("EX1", -1, [b"x"])
    streams.publish("EX1", 2, [b"c"])
    assert [entry.envelopes for entry in streams.read("EX1", -1, 9)] == [[b"a", b"b"], [b"c"]]
    assert streams.last_event("EX1") == (2, b"c")


def test_a_stream_is_read_from_an_index_on_up_to_a_limit(streams: MemoryStreams) -> None:
    streams.publish_many(Batch("EX1", index, [b"e"]) for index in range(3))
    assert indexes(streams, start=1) == [1, 2]
    assert [entry.first_index for entry in streams.read("EX1", -1, 1)] == [0]
    assert indexes(streams, "EX2") == []


def test_a_stream_keeps_its_tail_for_a_while(streams: MemoryStreams, clock: Clock) -> None:
    for index in range(4):
        streams.publish("EX1", index, [b"e"])
    assert indexes(streams) == [1, 2, 3]

    clock.now += 59
    streams.publish("EX2", 0, [b"e"])
    assert indexes(streams) == [1, 2, 3]

    clock.now += 2
    streams.publish("EX3", 0, [b"e"])
    assert indexes(streams) == []
    assert indexes(streams, "EX2") == [0]


def test_what_is_away_or_starts_anew_has_nothing(streams: MemoryStreams) -> None:
    streams.publish("EX1", 0, [b"e"])
    streams.is_away = True
    assert not streams.publish("EX1", 1, [b"e"])
    assert indexes(streams) == []
    streams.is_away = False
    assert indexes(streams) == [0]
    streams.set_start("EX1", 1000)
    streams.clear()
    assert indexes(streams) == []
    assert not streams.take_start("EX1")


def test_signals_do_not_outlive_their_time(streams: MemoryStreams, clock: Clock) -> None:
    streams.set_start("EX1", 1000)
    streams.mark_message("EX1")
    clock.now += 1.1
    assert not streams.take_start("EX1")
    assert not streams.mark_message("EX1")


def test_a_hook_hears_of_every_operation_before_it(clock: Clock) -> None:
    told: list[str] = []
    streams = MemoryStreams(clock, before=told.append)
    streams.publish("EX1", 0, [b"e"])
    streams.read("EX1", 0, 1)
    streams.take_commands("EX1")
    assert told == ["publish", "read", "take_commands"]


def test_a_reader_notes_how_far_watched_streams_reach(streams: MemoryStreams) -> None:
    reader = MemoryReader(streams, block_s=0)
    channels = Channels(reader.wake)
    channel = channels.open("EX1", Head(-1, "running", "local"))
    line = envelope("EX1", 0, "node:started", "2026-11-22T00:00:00.000Z", "{}")
    streams.publish("EX1", 0, [line, line])
    reader.read(channels)
    assert channel.known == 1
