from __future__ import annotations

import logging
import multiprocessing
import socket
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from app.streams import keys
from app.streams.publisher import MAX_ENTRY_BYTES, EventPublisher
from tests.integration.streams.cable import Cable, cable_to_redis
from tests.waiting import wait_until


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, protocol=2) as client:
        yield client


@pytest.fixture
def publisher(redis_url: str) -> Iterator[EventPublisher]:
    publisher = EventPublisher(redis_url, ttl_s=60, maxlen=100)
    yield publisher
    publisher.close()


def entries(redis: Redis) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return redis.xrange(keys.events("EX1"))


def test_a_batch_is_one_entry_named_by_its_first_index(
    publisher: EventPublisher, redis: Redis
) -> None:
    wait_until(lambda: publisher.publish("EX1", -1, [b"a", b"b"]), "it is published")
    wait_until(lambda: publisher.publish("EX1", 1, [b"c"]), "it is published")
    publisher.close()
    wait_until(lambda: len(entries(redis)) >= 2, "Valkey has taken it")
    assert entries(redis) == [
        (b"1-0", {b"n": b"2", b"e": b"a\nb"}),
        (b"3-0", {b"n": b"1", b"e": b"c"}),
    ]
    assert 0 < redis.ttl(keys.events("EX1")) <= 60


def test_nothing_to_publish_publishes_nothing(publisher: EventPublisher, redis: Redis) -> None:
    assert publisher.publish("EX1", 0, [])
    publisher.close()
    assert entries(redis) == []


def test_publishing_again_or_late_changes_nothing(
    publisher: EventPublisher, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    for first_index in (-1, -1, 0, -1, 0):
        assert publisher.publish("EX1", first_index, [b"e"])
    publisher.close()
    assert [entry_id for entry_id, _ in entries(redis)] == [b"1-0", b"2-0"]
    assert not caplog.records


def test_a_large_batch_is_cut_into_entries(publisher: EventPublisher, redis: Redis) -> None:
    lines = [bytes([65 + number]) * (MAX_ENTRY_BYTES // 3) for number in range(7)]
    wait_until(lambda: publisher.publish("EX1", -1, lines), "it is published")
    publisher.close()
    # A busy Valkey takes longer for this much than the publisher waits for it.
    wait_until(lambda: len(entries(redis)) >= 3, "Valkey has taken it")
    assert [entry_id for entry_id, _ in entries(redis)] == [b"1-0", b"4-0", b"7-0"]
    assert [line for _, entry in entries(redis) for line in entry[b"e"].split(b"\n")] == lines


def test_a_stream_is_capped(publisher: EventPublisher, redis: Redis) -> None:
    for index in range(1000):
        publisher.publish("EX1", index, [b"e"])
    publisher.close()
    assert 100 <= redis.xlen(keys.events("EX1")) <= 300


def test_a_connection_that_redis_closed_is_opened_anew(
    publisher: EventPublisher, redis: Redis
) -> None:
    publisher.publish("EX1", -1, [b"a"])
    wait_until(lambda: entries(redis), "it is published")
    redis.client_kill_filter(_type="normal", skipme=True)
    assert publisher.publish("EX1", 0, [b"b"])
    publisher.close()
    assert len(entries(redis)) == 2


def test_with_redis_away_publishes_are_dropped_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    now = 100.0
    publisher = EventPublisher(
        f"redis://127.0.0.1:{port}/0", ttl_s=60, maxlen=100, clock=lambda: now
    )
    assert not publisher.publish("EX1", -1, [b"a"])
    began = time.perf_counter()
    for index in range(1000):
        assert not publisher.publish("EX1", index, [b"a"])
    assert time.perf_counter() - began < 5


def test_a_redis_that_is_frozen_holds_a_run_up_for_a_moment() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as frozen:
        port = frozen.getsockname()[1]
        publisher = EventPublisher(f"redis://127.0.0.1:{port}/0", ttl_s=60, maxlen=100)
        began = time.perf_counter()
        assert not publisher.publish("EX1", -1, [b"a"])
        assert time.perf_counter() - began < 5
        publisher.close()


def test_once_redis_is_back_it_is_told_again(redis_url: str, redis: Redis) -> None:
    cable, url = cable_to_redis(redis_url)
    now = 100.0
    publisher = EventPublisher(url, ttl_s=60, maxlen=100, clock=lambda: now)
    _break(cable, publisher)
    cable.mend()
    assert not publisher.publish("EX1", 5, [b"dropped"])
    now += 1.1
    assert publisher.publish("EX1", 6, [b"told"])
    publisher.close()
    cable.close()
    assert entries(redis)[-1] == (b"8-0", {b"n": b"1", b"e": b"told"})


def _break(cable: Cable, publisher: EventPublisher) -> None:
    assert publisher.publish("EX1", -1, [b"a"])
    cable.cut()
    wait_until(lambda: not publisher.publish("EX1", 0, [b"b"]), "the cut is noticed")


def test_a_redis_that_refuses_is_complained_of_once(
    publisher: EventPublisher, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    redis.set(keys.events("EX1"), "no stream")
    with caplog.at_level(logging.WARNING):
        publisher.publish("EX1", -1, [b"a"])
        publisher.close()
        publisher.publish("EX1", 0, [b"a"])
        publisher.close()
    [record] = caplog.records
    assert "WRONGTYPE" in record.getMessage() or "wrong kind" in record.getMessage()


def test_parent_and_child_of_a_fork_have_connections_of_their_own(
    publisher: EventPublisher, redis: Redis
) -> None:
    publisher.publish("EX1", -1, [b"parent"])

    def publish_and_close() -> None:
        publisher.publish("EX1", 0, [b"child"])
        publisher.close()

    child = multiprocessing.get_context("fork").Process(target=publish_and_close)
    child.start()
    child.join()
    publisher.publish("EX1", 1, [b"parent"])
    publisher.close()
    assert [entry[b"e"] for _, entry in entries(redis)] == [b"parent", b"child", b"parent"]
