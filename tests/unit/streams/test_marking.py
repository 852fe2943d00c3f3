"""Executions that can't be marked as watched at once: looked at meanwhile, and marked soon."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator

import pytest

from app.errors import StoreUnavailable
from app.events.log import Head, StoredEvent
from app.streams import hub as hubs
from app.streams import marking
from app.streams.channels import Channels, News
from app.streams.hub import Hub
from app.streams.relay import Wanted
from app.streams.tail import Entry
from tests.waiting import wait_until


class Log:
    """The log of an execution that goes on and on, and its row, that others lock."""

    def __init__(self) -> None:
        self.last = 0
        self.locked = {"EX1"}
        self.marked: list[str] = []
        self.failure: StoreUnavailable | None = None

    def watch(self, execution_ids: Collection[str]) -> list[str]:
        if self.failure is not None:
            raise self.failure
        left = [each for each in execution_ids if each in self.locked]
        self.marked += [each for each in execution_ids if each not in left]
        return left

    def heads(self, execution_ids: Collection[str]) -> dict[str, Head]:
        return {each: Head(self.last, "running", "local") for each in execution_ids}

    def head(self, execution_id: str) -> Head | None:
        return self.heads([execution_id])[execution_id]

    def read(self, *_args: object, **_options: object) -> list[StoredEvent]:
        return []


class Silence:
    """A Redis that tells nothing."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def read(self, *_args: object) -> list[Entry]:
        return []

    def close(self) -> None:
        self._over.set()


class SilentReader(Silence):
    def read(self, _: Channels) -> float:  # type: ignore[override]
        self._over.wait(0.05)
        return 0.0

    def wake(self) -> None:
        pass


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def hub(log: Log, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(hubs, "TICK_S", 600.0)
    monkeypatch.setattr(marking, "AGAIN_S", 0.01)
    hub = Hub(log, Silence(), SilentReader(), watch=log.watch)
    yield hub
    hub.close()


def test_a_watcher_whose_mark_waits_is_served_by_looks_and_marked_soon(log: Log, hub: Hub) -> None:
    head = hub.head("EX1")
    assert head is not None
    with hub.feed("EX1", head, Wanted()) as feed:
        for index in (5, 9):
            log.last = index
            assert feed.channel.wait(index, 60) is News.EVENTS
        assert log.marked == []
        # What is committed before the mark is published by nobody: the look after it sees it.
        log.last, log.locked = 12, set()
        assert feed.channel.wait(12, 60) is News.EVENTS
        wait_until(lambda: log.marked, "it is marked")
    assert log.marked == ["EX1"]


def test_what_was_locked_is_marked_once_it_is_watched_and_not_before(log: Log, hub: Hub) -> None:
    """Else what is committed between the two would be seen by no look, and published to nobody."""
    log.locked = {"EX1", "EX2"}
    heads = {each: hub.head(each) for each in ("EX1", "EX2")}
    log.locked, log.last = set(), 3
    [_, other] = heads.values()
    assert other is not None
    with hub.feed("EX2", other, Wanted()) as feed:
        assert feed.channel.wait(3, 60) is News.EVENTS
    assert "EX1" not in log.marked


def test_a_store_that_is_away_keeps_nobody_out_and_is_asked_again(log: Log, hub: Hub) -> None:
    log.failure, log.locked = StoreUnavailable("away"), set()
    head = hub.head("EX1")
    assert head is not None
    with hub.feed("EX1", head, Wanted()):
        log.failure = None
        wait_until(lambda: log.marked, "it is marked")


def test_what_nobody_opens_is_forgotten(
    log: Log, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marking, "FORGOTTEN_AFTER_S", -1.0)
    assert hub.head("EX1") is not None
    head = hub.head("EX3")
    assert head is not None
    with hub.feed("EX3", head, Wanted()):
        assert hub._marking is not None
        waiting = hub._marking._left
        wait_until(lambda: "EX1" not in hub._marking._left, "it is forgotten")  # type: ignore[union-attr]
        assert "EX3" not in waiting
