"""No more messages in a queue than there are slots to wake, whoever sends at the same time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from celery import Celery
from redis import Redis

import tasks
from tasks.dispatcher import Dispatcher
from tests.waiting import wait_until

SLOTS, SENDERS, EACH = 4, 8, 25
PREFIX = "cg:celery:"
QUEUE = f"{PREFIX}default"


@pytest.fixture
def broker(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """The broker; Celery's settings are those of the environment when its app is first used."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    with Redis.from_url(redis_url, protocol=2) as client:
        yield client


@pytest.fixture
def celery(broker: Redis, redis_url: str) -> Iterator[Celery]:
    """The tasks of the house on an app that sends to this broker."""
    made = Celery("bounded", broker=redis_url, set_as_current=False)
    made.conf.update(
        task_default_queue="default",
        task_publish_retry=False,
        broker_transport_options=dict(tasks.app.conf.broker_transport_options),
    )
    # Tasks are shared by all apps of a process.
    made.finalize()
    yield made
    made.close()


def dispatcher(celery: Celery, broker: Redis, slots: int) -> Dispatcher:
    return Dispatcher(celery, broker, lambda: {"default": slots})


def length(broker: Redis) -> int:
    return int(broker.llen(QUEUE))  # type: ignore[arg-type]


def test_what_many_send_at_once_stays_within_the_slots(celery: Celery, broker: Redis) -> None:
    begin = threading.Barrier(SENDERS)

    def send(number: int) -> None:
        sender = dispatcher(celery, broker, SLOTS)
        begin.wait()
        for turn in range(EACH):
            ids = [f"EX{number}-{turn}"]
            (sender.hint if turn % 2 else sender.send)(ids)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert length(broker) == SLOTS


def test_a_message_within_the_bound_is_as_any_other(celery: Celery, broker: Redis) -> None:
    dispatcher(celery, broker, SLOTS).send(["EX1"])

    messages: list[Any] = broker.lrange(QUEUE, 0, -1)  # type: ignore[assignment]
    [message] = map(json.loads, messages)
    assert message["headers"]["task"] == "tasks.await_start"
    assert "most_queued" not in message["properties"]


def test_room_is_there_again_once_a_message_is_taken(celery: Celery, broker: Redis) -> None:
    sender = dispatcher(celery, broker, 1)
    sender.hint(["EX1"])
    sender.hint(["EX2"])
    assert length(broker) == 1
    broker.rpop(QUEUE)

    sender.hint(["EX3"])

    assert length(broker) == 1


def test_a_hint_that_a_full_queue_leaves_no_room_for_is_noted_once(
    celery: Celery, broker: Redis
) -> None:
    sender = dispatcher(celery, broker, 1)
    sender.send(["EX1"])
    assert not sender.take_dropped()

    sender.hint(["EX2"])

    assert length(broker) == 1
    assert sender.take_dropped()
    assert not sender.take_dropped()


def test_one_that_others_were_quicker_than_is_noted_by_the_broker(
    celery: Celery, broker: Redis
) -> None:
    sender = dispatcher(celery, broker, 1)
    # Both saw room.
    sender.send(["EX1"])
    sender.send(["EX2"])

    assert length(broker) == 1
    assert sender.take_dropped()


def test_what_a_process_that_lingers_took_is_not_noted(celery: Celery, broker: Redis) -> None:
    sender = dispatcher(celery, broker, 1)
    sender.send(["EX1"])
    with ThreadPoolExecutor(1) as threads:
        taken = threads.submit(broker.blpop, ["cg:work"], 60)
        wait_until(lambda: is_waited_for(broker), "somebody lingers")
        sender.hint(["EX2"])
        assert taken.result(60) == (b"cg:work", b"EX2")

    assert not sender.take_dropped()


def is_waited_for(broker: Redis) -> bool:
    clients: Any = broker.client_list()
    return any(each["cmd"] == "blpop" for each in clients)


def test_steps_are_sent_whatever_lies_there(celery: Celery, broker: Redis) -> None:
    sender = dispatcher(celery, broker, 1)

    sender.send_steps("EX1", {"a": "default", "b": "default"})

    assert length(broker) == 2
