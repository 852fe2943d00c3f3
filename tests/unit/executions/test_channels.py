"""A live stream: one thread sends, others read from its start, and whoever should end does."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from app.engine import NodeFailure
from app.errors import NodeCancelled, NodeError, NonRetryableError, StreamFailed
from app.executions.channels import Channel, ChannelReader
from app.values.ports import PortConfig, PortType
from app.values.streams import stream_value
from tests.waiting import wait_until

TEXTS = PortConfig(PortType.STREAM, item=PortConfig(PortType.STRING))


class Sender:
    """A channel, and whether its node should end."""

    def __init__(
        self,
        max_bytes: int = 1_000_000,
        clock: Callable[[], float] = float,
        flag: Callable[[], threading.Event] = threading.Event,
    ) -> None:
        self.news = 0
        self.is_cancelled = False
        self.channel = Channel(
            "out",
            TEXTS,
            max_bytes,
            flag=flag,
            clock=clock,
            check=self.check,
            hide=lambda value: value,
            on_news=self.count,
        )

    def check(self) -> None:
        if self.is_cancelled:
            raise NodeCancelled

    def count(self) -> None:
        self.news += 1

    def reader(self) -> ChannelReader:
        return ChannelReader(0, self.channel)


def test_every_reader_gets_all_items_from_the_first_one_on() -> None:
    sender = Sender()
    early = iter(sender.reader())
    sender.channel.send("a")
    assert next(early) == "a"
    sender.channel.send("b")
    sender.channel.close()

    assert list(early) == ["b"]
    assert list(sender.reader()) == ["a", "b"]
    assert sender.channel.value() == stream_value(["a", "b"])


def test_a_reader_waits_for_the_next_item() -> None:
    sender = Sender()
    read: list[str] = []
    reading = threading.Thread(target=lambda: read.extend(sender.reader()))
    reading.start()
    for number, item in enumerate("abc"):
        sender.channel.send(item)
        wait_until(lambda number=number: len(read) == number + 1, "the item is read")
    sender.channel.close()
    reading.join(60)

    assert read == ["a", "b", "c"]


def test_items_of_several_threads_are_all_there_once() -> None:
    sender = Sender()
    names = ["a", "b", "c", "d"]

    def send(name: str) -> None:
        for number in range(200):
            sender.channel.send(f"{name}{number}")

    read: list[str] = []
    threads = [threading.Thread(target=send, args=(name,)) for name in names]
    reading = threading.Thread(target=lambda: read.extend(sender.reader()))
    for thread in (reading, *threads):
        thread.start()
    for thread in threads:
        thread.join(60)
    sender.channel.close()
    reading.join(60)

    assert sorted(read) == sorted(f"{name}{number}" for name in names for number in range(200))
    assert [each for each in read if each[0] == "a"] == [f"a{number}" for number in range(200)]


def test_of_two_that_wake_at_once_none_leaves_a_flag_that_nobody_sets() -> None:
    waking: list[threading.Thread] = []
    awaited: list[threading.Event] = []

    def flag() -> threading.Event:
        if waking and not awaited:
            waking[0].start()
            # Long enough for it to leave its flag, if nothing holds it back.
            waking[0].join(0.2)
            awaited.append(sender.channel._news)
        return threading.Event()

    sender = Sender(flag=flag)
    waking.append(threading.Thread(target=sender.channel.wake))
    sender.channel.wake()
    waking[0].join(60)
    sender.channel.wake()

    assert [each.is_set() for each in awaited] == [True]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (7, "output 'out': item 0: it must be a string, not a number"),
        ({1, 2}, "output 'out': an item is no value: it is of type set, which JSON can't hold"),
    ],
)
def test_what_its_port_does_not_allow_is_refused(item: Any, said: str) -> None:
    sender = Sender()
    with pytest.raises(NodeError, match=said):
        sender.channel.send(item)
    assert sender.channel.value() == stream_value(is_closed=False)


def test_an_item_is_a_copy() -> None:
    config = PortConfig(PortType.STREAM)
    sender = Sender()
    sender.channel._config = config.item or PortConfig(PortType.ANY)
    item = {"a": 1}
    sender.channel.send(item)
    item["a"] = 2

    assert next(iter(sender.reader())) == {"a": 1}


def test_it_grows_no_larger_than_a_value_may_be() -> None:
    sender = Sender(max_bytes=len('{"type":"stream","buffer":["ab","ab"],"isClosed":true}') + 1)
    sender.channel.send("ab")
    sender.channel.send("ab")
    with pytest.raises(NonRetryableError, match="output 'out' has more than"):
        sender.channel.send("")


def test_nothing_is_sent_after_its_end() -> None:
    sender = Sender()
    sender.channel.close()
    with pytest.raises(ValueError, match="the stream 'out' is closed"):
        sender.channel.send("a")


def test_a_node_that_should_end_sends_nothing_more() -> None:
    sender = Sender()
    sender.is_cancelled = True
    with pytest.raises(NodeCancelled):
        sender.channel.send("a")


def test_a_failure_comes_behind_the_last_item() -> None:
    sender = Sender()
    sender.channel.send("a")
    sender.channel.fail(NodeFailure("NodeError", "the line is cut"))
    items = iter(sender.reader())

    assert next(items) == "a"
    with pytest.raises(StreamFailed, match="the line is cut"):
        next(items)


def test_a_reader_that_waits_ends_when_its_node_should() -> None:
    sender = Sender()
    reader = sender.reader()
    ended: list[str] = []
    is_cancelled = threading.Event()

    def check() -> None:
        if is_cancelled.is_set():
            raise NodeCancelled

    def read() -> None:
        try:
            next(iter(reader))
        except NodeCancelled:
            ended.append("cancelled")

    reader.belong_to(check)
    reading = threading.Thread(target=read)
    reading.start()
    is_cancelled.set()
    reader.wake()
    reading.join(60)

    assert ended == ["cancelled"]


def test_what_was_not_told_is_taken_once_and_announced_once() -> None:
    sender = Sender()
    for item in "ab":
        sender.channel.send(item)
    assert (sender.news, sender.channel.has_untold) == (1, True)
    assert sender.channel.take_untold() == ["a", "b"]
    assert sender.channel.take_untold() == []
    sender.channel.send("c")

    assert sender.news == 2
    assert sender.channel.take_untold() == ["c"]


# -- what a reader knows


def test_who_waits_for_the_start_only_has_read_nothing() -> None:
    sender = Sender()
    sender.channel.send("a")
    reader = sender.reader()

    assert reader.started()
    assert not reader.has_read
    assert next(iter(reader)) == "a"
    assert reader.has_read


def test_who_saw_an_empty_stream_end_has_read_it() -> None:
    sender = Sender()
    sender.channel.close()
    reader = sender.reader()

    assert not reader.started()
    assert reader.has_read


def test_who_waits_for_a_time_only_is_told_when_it_is_up() -> None:
    ticks = itertools.count(0, 0.02)
    sender = Sender(clock=lambda: next(ticks))
    reader = sender.reader()

    assert not reader.started(0.05)
    assert not reader.has_read
