from __future__ import annotations

import threading
from collections.abc import Collection

import pytest

from app.errors import StoreUnavailable
from app.events.log import Head, StoredEvent
from app.streams.lookup import HeadLookup
from tests.waiting import wait_until

HEAD = Head(3, "running", "local")


class SlowLog:
    """Answers nobody until it is let go."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[set[str]] = []
        self.go = threading.Event()
        self._failure = failure

    def heads(self, execution_ids: Collection[str]) -> dict[str, Head]:
        self.asked.append(set(execution_ids))
        assert self.go.wait(60)
        if self._failure is not None:
            raise self._failure
        return {each: HEAD for each in execution_ids if each != "EX0"}

    def head(self, execution_id: str) -> Head | None:
        return self.heads([execution_id]).get(execution_id)

    def read(self, *_args: object, **_options: object) -> list[StoredEvent]:
        return []


def ask_at_once(log: SlowLog, count: int) -> list[Head | Exception | None]:
    """Ask first for one, then, while the log is busy, for all the others."""
    lookup = HeadLookup(log)
    answers: list[Head | Exception | None] = [None] * count

    def ask(number: int) -> None:
        try:
            answers[number] = lookup.head(f"EX{number}")
        except (StoreUnavailable, ZeroDivisionError) as error:
            answers[number] = error

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    threads[0].start()
    wait_until(lambda: log.asked, "the first one asks")
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: len(lookup._waiting) == count - 1, "the others wait")
    log.go.set()
    for thread in threads:
        thread.join(60)
    return answers


def test_those_who_ask_at_once_share_a_query() -> None:
    log = SlowLog()
    answers = ask_at_once(log, 20)
    assert answers == [None, *[HEAD] * 19]
    assert log.asked == [{"EX0"}, {f"EX{number}" for number in range(1, 20)}]


def test_a_store_that_is_away_is_told_to_everybody() -> None:
    answers = ask_at_once(SlowLog(StoreUnavailable("away")), 5)
    assert [str(answer) for answer in answers] == ["away"] * 5


def test_nobody_waits_for_one_who_broke_off() -> None:
    answers = ask_at_once(SlowLog(ZeroDivisionError()), 5)
    assert sum(isinstance(answer, ZeroDivisionError) for answer in answers) == 2
    assert sum(isinstance(answer, StoreUnavailable) for answer in answers) == 3


def test_what_is_looked_at_is_marked_before() -> None:
    log = SlowLog()
    log.go.set()
    order: list[object] = []

    def mark(execution_ids: Collection[str]) -> None:
        assert not log.asked
        order.append(execution_ids)

    assert HeadLookup(log, mark=mark).head("EX1") == HEAD
    assert order == [["EX1"]]


def test_the_lookup_can_be_used_again() -> None:
    log = SlowLog(StoreUnavailable("away"))
    log.go.set()
    lookup = HeadLookup(log)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            lookup.head("EX1")
