"""Many sockets on one process: they take no thread each, and get everything."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from benchmarks.events import follow
from benchmarks.relay_client import Goodbye, Watcher
from tests.integration.streams.conftest import History, Serve, Served
from tests.integration.streams.test_relay import ENDED, STARTED
from tests.waiting import wait_until
from web.sockets import Patience

SOCKETS, EXECUTIONS = 100, 5
#: Threads more of a process that serves sockets, however many: hub, pump, loop, a few requests.
THREADS = 30


@pytest.fixture
def threads_before() -> int:
    """How many threads this process has for other tests."""
    return threading.active_count()


@pytest.fixture
def served(serve: Serve, database_url: str, redis_url: str) -> Served:
    # The clients answer no pings.
    patience = Patience(ping_every_s=60.0, silent_s=60.0)
    return serve(database_url, redis_url, max_sockets=SOCKETS, patience=patience)


@pytest.fixture
def ids(history: History) -> Sequence[str]:
    return [history.create(f"EX{number}") for number in range(EXECUTIONS)]


@pytest.fixture
def watchers(served: Served, ids: Sequence[str]) -> Iterator[list[Watcher]]:
    opened: list[Watcher] = []
    try:
        opened.extend(Watcher(served.port, ids[n % EXECUTIONS]) for n in range(SOCKETS))
        yield opened
    finally:
        for watcher in opened:
            watcher.close()


def test_all_read_everything(
    served: Served, history: History, ids: Sequence[str], watchers: list[Watcher]
) -> None:
    for _ in range(5):
        for execution_id in ids:
            history.tell(execution_id, STARTED, STARTED)
    for execution_id in ids:
        history.tell(execution_id, ENDED)
    follow(watchers)
    assert {watcher.next_index for watcher in watchers} == {11}
    wait_until(lambda: served.relay.open_sockets == 0, "all have ended")


def test_they_take_no_thread_each(
    threads_before: int, served: Served, watchers: list[Watcher]
) -> None:
    for watcher in watchers:
        watcher.next()
    # Those that made the handshakes may still be about to end.
    wait_until(lambda: threading.active_count() < threads_before + THREADS, "there are few threads")
    assert served.relay.open_sockets == SOCKETS


def test_all_are_told_to_come_again(
    served: Served, history: History, ids: Sequence[str], watchers: list[Watcher]
) -> None:
    for execution_id in ids:
        history.tell(execution_id, STARTED)
    served.relay.drain()
    assert served.relay.open_sockets == 0
    assert [code_of(watcher) for watcher in watchers] == [1012] * SOCKETS


def code_of(watcher: Watcher) -> int:
    while True:
        try:
            watcher.next()
        except Goodbye as goodbye:
            return goodbye.code
