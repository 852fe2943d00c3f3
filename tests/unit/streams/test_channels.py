"""What is known of a watched execution, and who learns it from where."""

from __future__ import annotations

from time import monotonic

import pytest

from app.events.log import Head, status_told
from app.events.wire import envelope
from app.local.streams import MemoryReader, MemoryStreams
from app.streams.channels import Channel, Channels, News

RUNNING = Head(3, "running", "local")


def line(index: int, event_type: str) -> bytes:
    return envelope("EX1", index, event_type, "2026-11-22T00:00:00.000Z", '{"type":"x"}')


@pytest.mark.parametrize(
    ("event_type", "status"),
    [("execution:failed", "failed"), ("execution:created", None), ("node:completed", None)],
)
def test_the_end_is_told_by_the_event_alone(event_type: str, status: str | None) -> None:
    assert status_told(line(4, event_type)) == status


def test_who_knows_the_last_event_learns_that_it_is_the_end() -> None:
    channel = Channel("EX1", RUNNING)
    channel.note(3)
    assert channel.news_of(4) is News.NONE
    channel.note(3, "stopped")
    assert channel.news_of(4) is News.ENDED
    assert channel.final_status == "stopped"


def test_who_asked_past_the_end_hears_of_it_from_the_stream() -> None:
    """PostgreSQL is asked for nothing here: there is none."""
    streams = MemoryStreams(monotonic)
    channels = Channels(lambda: None)
    channel = channels.open("EX1", RUNNING)
    streams.publish("EX1", 4, [line(4, "node:completed"), line(5, "execution:completed")])
    MemoryReader(streams).read(channels)
    assert channel.news_of(9) is News.ENDED
    assert channel.final_status == "completed"
