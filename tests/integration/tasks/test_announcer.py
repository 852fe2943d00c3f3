"""Announcements reach whoever listens to Celery's events, and cost a run nothing to speak of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import Celery
from celery.events.state import State

from app.embedded.ports import free_port
from tasks import announcer as announcer_module
from tasks.announcer import FLUSH_AT, MOST_NOTES, Announcer
from tests.proxy import Proxy
from tests.waiting import wait_until

NODENAME = "worker1@here"


class Listener:
    """What Flower would see."""

    def __init__(self, app: Celery) -> None:
        self.state = State()
        self.events: list[dict[str, Any]] = []
        self._connection = app.connection_for_read()
        self._receiver = app.events.Receiver(self._connection, handlers={"*": self._take})
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def tasks(self) -> list[Any]:
        return [task for _, task in self.state.tasks_by_time() if task.name]

    def names(self) -> list[tuple[str, str, str]]:
        return [(task.name, task.args, task.state) for task in self.tasks()]

    def stop(self) -> None:
        self._receiver.should_stop = True
        self._thread.join()
        self._connection.release()

    def _listen(self) -> None:
        for _ in self._receiver.consume(limit=None, safety_interval=0.1, wakeup=False):
            pass

    def _take(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.state.event(event)


def make_app(broker_url: str) -> Celery:
    app = Celery("test", broker=broker_url, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": "test:", "socket_timeout": 2}
    return app


@pytest.fixture
def celery_app(redis_url: str) -> Iterator[Celery]:
    app = make_app(redis_url)
    yield app
    app.close()


@pytest.fixture
def listener(celery_app: Celery) -> Iterator[Listener]:
    listener = Listener(celery_app)
    first = Announcer(celery_app, NODENAME, enabled=True)

    def hears() -> bool:
        first.began("first", "x")
        first.ended("x", ok=True)
        return bool(listener.tasks())

    wait_until(hears, "the listener hears")
    first.close()
    yield listener
    listener.stop()


@pytest.fixture
def announcer(celery_app: Celery) -> Iterator[Announcer]:
    announcer = Announcer(celery_app, NODENAME, enabled=True)
    yield announcer
    announcer.close()


def shown(listener: Listener) -> list[tuple[str, str, str]]:
    return sorted(each for each in listener.names() if each[0] != "first")


def test_a_task_is_shown_from_its_begin_to_its_end(
    announcer: Announcer, listener: Listener
) -> None:
    announcer.began("tasks.advance", "EX1")
    wait_until(lambda: shown(listener) == [("tasks.advance", "('EX1',)", "STARTED")], "it runs")
    announcer.ended("EX1", ok=True)
    wait_until(lambda: shown(listener) == [("tasks.advance", "('EX1',)", "SUCCESS")], "it is done")
    [task] = [task for task in listener.tasks() if task.name == "tasks.advance"]
    assert task.worker.hostname == NODENAME
    assert task.received <= task.started <= task.succeeded
    assert task.runtime == pytest.approx(task.succeeded - task.started, abs=0.01)


def test_a_task_that_was_lost_is_shown_as_failed(announcer: Announcer, listener: Listener) -> None:
    with pytest.raises(RuntimeError), announcer.announced("tasks.run_node", "EX1", "a"):
        raise RuntimeError
    wait_until(
        lambda: shown(listener) == [("tasks.run_node", "('EX1', 'a')", "FAILURE")], "it failed"
    )


def test_what_a_message_brought_is_left_to_celery(announcer: Announcer, listener: Listener) -> None:
    with announcer.known("EX1"):
        announcer.began("tasks.advance", "EX1")
        announcer.began("tasks.advance", "EX2")
        announcer.ended("EX1", ok=True)
    announcer.began("tasks.advance", "EX3")
    wait_until(lambda: len(shown(listener)) >= 2, "two are shown")
    assert [args for _, args, _ in shown(listener)] == ["('EX2',)", "('EX3',)"]


def test_many_go_in_few_messages_and_the_newest_is_sorted_last(
    announcer: Announcer, listener: Listener
) -> None:
    for number in range(1000):
        announcer.began("tasks.advance", f"EX{number}")
        announcer.ended(f"EX{number}", ok=True)
    wait_until(lambda: len(shown(listener)) == 1000, "all are shown")
    newest = listener.tasks()[0]
    assert newest.args == "('EX999',)"


def test_enough_of_them_do_not_wait(
    announcer: Announcer, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcer_module, "FLUSH_EVERY_S", 3600.0)
    for number in range(FLUSH_AT):
        announcer.began("tasks.advance", f"EX{number}")
    wait_until(lambda: len(shown(listener)) == FLUSH_AT, "all are shown")


def test_closing_sends_what_is_left(celery_app: Celery, listener: Listener) -> None:
    announcer = Announcer(celery_app, NODENAME, enabled=True)
    announcer.began("tasks.advance", "EX1")
    announcer.close()
    announcer.began("tasks.advance", "EX2")
    wait_until(lambda: len(shown(listener)) == 1, "the first is shown")


def test_nothing_is_sent_where_task_events_are_off(celery_app: Celery) -> None:
    announcer = Announcer(celery_app, NODENAME, enabled=False)
    threads = threading.active_count()
    announcer.began("tasks.advance", "EX1")
    announcer.ended("EX1", ok=True)
    assert threading.active_count() == threads
    announcer.close()


def test_a_broker_that_is_away_holds_nothing_up_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make_app(f"redis://127.0.0.1:{free_port()}/0")
    connect, connecting = app.connection_for_write, set()

    def noted() -> object:
        connecting.add(threading.current_thread())
        return connect()

    monkeypatch.setattr(app, "connection_for_write", noted)
    announcer = Announcer(app, NODENAME, enabled=True)
    for number in range(MOST_NOTES * 2):
        announcer.began("tasks.advance", f"EX{number}")
    wait_until(lambda: not announcer._notes, "what was noted is gone")
    # Who notes never speaks to the broker.
    assert connecting == {announcer._thread}
    announcer.close()
    app.close()


def tell_until(
    announcer: Announcer, tell: Callable[[], None], is_shown: Callable[[], bool]
) -> None:
    """Tell, and again whenever that was lost: the broker answers a busy machine too late."""

    def holds() -> bool:
        if announcer._silent_until > 0:
            announcer._silent_until = 0.0
            tell()
        return is_shown()

    announcer._silent_until = 0.0
    tell()
    wait_until(holds, "it is shown", within_s=60)


def test_it_goes_on_when_the_broker_is_back(redis_url: str, listener: Listener) -> None:
    proxy = Proxy(("127.0.0.1", urlsplit(redis_url).port or 0))
    app = make_app(redis_url.replace(f":{urlsplit(redis_url).port}", f":{proxy.port}"))
    announcer = Announcer(app, NODENAME, enabled=True)
    before, after = (
        ("tasks.advance", "('EX1',)", "STARTED"),
        ("tasks.advance", "('EX3',)", "SUCCESS"),
    )
    tell_until(
        announcer,
        lambda: announcer.began("tasks.advance", "EX1"),
        lambda: before in shown(listener),
    )
    proxy.cut()
    announcer.began("tasks.advance", "EX2")
    wait_until(lambda: announcer._silent_until > 0, "it notices", within_s=60)
    proxy.mend()

    def tell() -> None:
        announcer.ended("EX1", ok=True)
        announcer.began("tasks.advance", "EX3")
        announcer.ended("EX3", ok=True)

    tell_until(announcer, tell, lambda: after in shown(listener))
    # Of what began before, nobody can tell how it ended.
    assert {each for each in shown(listener) if "EX3" not in each[1]} == {before}
    announcer.close()
    app.close()
    proxy.close()


def cpu_of(what: Callable[[int], None], count: int) -> float:
    """CPU seconds of this thread for `count` calls."""
    begun = time.thread_time()
    for number in range(count):
        what(number)
    return time.thread_time() - begun


def test_a_note_costs_a_run_little(celery_app: Celery) -> None:
    """A tenth, at most, of what an event costs that is sent at once. Both are measured here, in
    turns, and the best of each counts: a busy machine makes both slower, not their ratio.
    """
    announcer = Announcer(celery_app, NODENAME, enabled=True)

    def note(number: int) -> None:
        announcer.began("tasks.advance", f"EX{number}")
        announcer.ended(f"EX{number}", ok=True)

    with celery_app.connection_for_write() as connection:
        dispatcher = celery_app.events.Dispatcher(connection, hostname=NODENAME)

        def send(number: int) -> None:
            dispatcher.send("task-started", uuid=f"EX{number}")
            dispatcher.send("task-succeeded", uuid=f"EX{number}")

        send(0)
        rounds = [(cpu_of(note, 400), cpu_of(send, 40) * 10) for _ in range(5)]
    announcer.close()
    noting, sending = (min(each) for each in zip(*rounds, strict=True))
    assert noting < sending / 10
