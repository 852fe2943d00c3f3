"""Signals and commands, over Redis and in this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from app.local.streams import MemoryInbox, MemoryStreams
from app.streams import control, keys
from app.streams.client import connect
from app.streams.control import ControlInbox
from app.streams.protocol import Inbox, SignalBox
from app.streams.signals import MAX_WAITING, Signals

Signalling = tuple[SignalBox, Callable[[str], Inbox]]

BLOCK_S = 5.0


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(params=["redis", "memory"])
def both(request: pytest.FixtureRequest) -> Iterator[Signalling]:
    """Signals, and how to make a worker's inbox."""
    if request.param == "memory":
        streams = MemoryStreams(time.monotonic)
        yield streams, lambda worker: MemoryInbox(streams, worker, block_s=BLOCK_S)
        return
    url: str = request.getfixturevalue("redis_url")
    with connect(url, role="web") as client:
        yield Signals(client), lambda worker: ControlInbox(url, worker, block_s=BLOCK_S)


@pytest.fixture
def signals(both: Signalling) -> SignalBox:
    return both[0]


@pytest.fixture
def dead_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        return f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"


def test_a_start_signal_is_taken_once(signals: SignalBox) -> None:
    assert not signals.take_start("EX1")
    assert signals.set_start("EX1", 5000)
    assert signals.take_start("EX1")
    assert not signals.take_start("EX1")


def test_a_second_message_is_not_needed_until_the_marker_is_cleared(signals: SignalBox) -> None:
    assert not signals.mark_message("EX1")
    assert signals.mark_message("EX1")
    assert signals.clear_message("EX1")
    assert not signals.mark_message("EX1")


def test_what_is_announced_is_marked_and_started(signals: SignalBox) -> None:
    assert signals.announce(["EX1", "EX2"], {"EX2"}, 5000)
    assert signals.mark_message("EX1")
    assert signals.mark_message("EX2")
    assert not signals.take_start("EX1")
    assert signals.take_start("EX2")


def test_commands_are_taken_in_order_and_once(signals: SignalBox) -> None:
    assert signals.push_command("EX1", "pause")
    assert signals.push_command("EX1", "stop")
    assert signals.push_command("EX2", "step")
    assert signals.take_commands("EX1") == ["pause", "stop"]
    assert signals.take_commands("EX1") == []


def test_commands_that_nobody_takes_are_bounded(signals: SignalBox) -> None:
    for _ in range(MAX_WAITING):
        signals.push_command("EX1", "pause")
    signals.push_command("EX1", "stop")
    taken = signals.take_commands("EX1")
    assert len(taken) == MAX_WAITING
    assert taken[-1] == "stop"


def test_whoever_waits_for_processes_to_let_go_waits_for_all_of_them(signals: SignalBox) -> None:
    assert signals.tell_let_go("EX1")
    assert not signals.await_let_go("EX1", 2, 0.01)
    assert not signals.await_let_go("EX2", 1, 0.01)
    heard: list[bool] = []
    waiting = threading.Thread(target=lambda: heard.append(signals.await_let_go("EX1", 2, 20)))
    waiting.start()
    signals.tell_let_go("EX1")
    signals.tell_let_go("EX1")
    waiting.join(60)
    assert heard == [True]


def test_a_waiting_worker_is_woken(both: Signalling) -> None:
    signals, open_inbox = both
    inbox = open_inbox("w1")
    heard: list[str | None] = []
    thread = threading.Thread(target=lambda: heard.append(inbox.wait()))
    thread.start()
    assert signals.wake_worker("w2", "EX2")
    assert signals.wake_worker("w1", "EX1")
    thread.join(timeout=60)
    assert heard == ["EX1"]
    inbox.close()
    assert inbox.wait() is None


def test_nothing_stands_for_ever_in_redis(redis: Redis, redis_url: str) -> None:
    with connect(redis_url, role="web") as client:
        signals = Signals(client)
        signals.set_start("EX1", 5000)
        signals.mark_message("EX1")
        signals.push_command("EX1", "pause")
    assert 0 < redis.pttl(keys.start("EX1")) <= 5000
    assert 0 < redis.pttl(keys.message("EX1")) <= 1000
    assert redis.ttl(keys.commands("EX1")) > 0


def test_with_redis_away_everything_says_no_at_once(
    dead_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    says_no_to_everything(Signals(connect(dead_url, role="web")))
    monkeypatch.setattr(control, "REST_S", 0.01)
    assert ControlInbox(dead_url, "w1").wait() is None


def test_what_is_away_in_this_process_says_no() -> None:
    streams = MemoryStreams(time.monotonic)
    streams.is_away = True
    says_no_to_everything(streams)


def says_no_to_everything(signals: SignalBox) -> None:
    assert not signals.set_start("EX1", 1000)
    assert not signals.announce(["EX1"], (), 1000)
    assert not signals.take_start("EX1")
    assert not signals.mark_message("EX1")
    assert not signals.clear_message("EX1")
    assert not signals.push_command("EX1", "stop")
    assert not signals.wake_worker("w1", "EX1")
    assert not signals.tell_let_go("EX1")
    assert not signals.await_let_go("EX1", 1, 0.01)
    assert signals.take_commands("EX1") == []
