from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from redis import Redis

from app.streams import control, keys
from app.streams.client import connect
from app.streams.control import ControlInbox
from app.streams.signals import MAX_WAITING, Signals


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def signals(redis_url: str) -> Signals:
    return Signals(connect(redis_url, role="web"))


@pytest.fixture
def dead_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        return f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"


def test_a_start_signal_is_taken_once(signals: Signals, redis: Redis) -> None:
    assert not signals.take_start("EX1")
    assert signals.set_start("EX1", 5000)
    assert 0 < redis.pttl(keys.start("EX1")) <= 5000
    assert signals.take_start("EX1")
    assert not signals.take_start("EX1")


def test_a_second_message_is_not_needed_until_the_marker_is_cleared(
    signals: Signals, redis: Redis
) -> None:
    assert not signals.mark_message("EX1")
    assert signals.mark_message("EX1")
    assert 0 < redis.pttl(keys.message("EX1")) <= 1000
    assert signals.clear_message("EX1")
    assert not signals.mark_message("EX1")


def test_commands_are_taken_in_order_and_once(signals: Signals, redis: Redis) -> None:
    assert signals.push_command("EX1", "pause")
    assert signals.push_command("EX1", "stop")
    assert signals.push_command("EX2", "step")
    assert redis.ttl(keys.commands("EX1")) > 0
    assert signals.take_commands("EX1") == ["pause", "stop"]
    assert signals.take_commands("EX1") == []


def test_commands_that_nobody_takes_are_bounded(signals: Signals, redis: Redis) -> None:
    redis.rpush(keys.commands("EX1"), *["pause"] * 2 * MAX_WAITING)
    signals.push_command("EX1", "stop")
    taken = signals.take_commands("EX1")
    assert len(taken) == MAX_WAITING
    assert taken[-1] == "stop"


def test_a_waiting_worker_is_woken(signals: Signals, redis_url: str) -> None:
    inbox = ControlInbox(redis_url, "w1", block_s=5)
    heard: list[str | None] = []
    thread = threading.Thread(target=lambda: heard.append(inbox.wait()))
    thread.start()
    assert signals.wake_worker("w1", "EX1")
    thread.join(timeout=3)
    assert heard == ["EX1"]
    inbox.close()
    assert inbox.wait() is None


def test_with_redis_away_everything_says_no_at_once(
    dead_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = Signals(connect(dead_url, role="web"))
    assert not signals.set_start("EX1", 1000)
    assert not signals.take_start("EX1")
    assert not signals.mark_message("EX1")
    assert not signals.clear_message("EX1")
    assert not signals.push_command("EX1", "stop")
    assert not signals.wake_worker("w1", "EX1")
    assert signals.take_commands("EX1") == []
    monkeypatch.setattr(control, "REST_S", 0.01)
    assert ControlInbox(dead_url, "w1").wait() is None
