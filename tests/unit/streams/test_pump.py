"""The pump on real threads: turns, timers, and what goes wrong in them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.streams.pump import AT_ONCE, SLOW, Pump, Served, Slow
from tests.waiting import wait_until

Turn = Callable[[bool], float | Slow | None]


class Job(Served):
    """Does what it is told, and counts."""

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self._turn = turn
        self.turns = 0
        self.has_failed = False

    def turn(self, *, slow: bool) -> float | Slow | None:
        self.turns += 1
        return self._turn(slow)

    def fail(self) -> None:
        self.has_failed = True


@pytest.fixture
def pump() -> Iterator[Pump]:
    pump = Pump()
    pump.begin()
    yield pump
    pump.close()


def test_who_is_woken_has_a_turn(pump: Pump) -> None:
    job = Job(lambda _: None)
    for turns in (1, 2, 3):
        pump.wake(job)
        wait_until(lambda turns=turns: job.turns == turns, "it had its turn")


def test_who_wants_another_turn_has_it_after_the_others(pump: Pump) -> None:
    order: list[str] = []
    begin = threading.Event()

    def turn_of(name: str) -> Turn:
        def turn(_slow: bool) -> float | None:
            begin.wait(60)
            order.append(name)
            return AT_ONCE if order.count(name) < 3 else None

        return turn

    jobs = [Job(turn_of(name)) for name in "abcdefgh"]
    for job in jobs:
        pump.wake(job)
    begin.set()
    wait_until(lambda: len(order) == 24, "all had three turns")
    assert all(order.count(name) == 3 for name in "abcdefgh")
    assert set(order[-4:]) & set("efgh")


def test_a_turn_that_was_woken_for_meanwhile_is_followed_by_another(pump: Pump) -> None:
    runs, goes_on = threading.Event(), threading.Event()

    def turn(_slow: bool) -> None:
        runs.set()
        goes_on.wait(60)

    job = Job(turn)
    pump.wake(job)
    assert runs.wait(60)
    pump.wake(job)
    pump.wake(job)
    assert job.turns == 1
    goes_on.set()
    wait_until(lambda: job.turns == 2, "there was another turn")


def test_a_turn_is_due_at_its_time_also_when_a_slow_thread_says_so(pump: Pump) -> None:
    due_after = 0.05

    def turn(slow: bool) -> float | Slow | None:
        if job.turns > 2:
            return None
        return time.monotonic() + due_after if slow else SLOW

    job = Job(turn)
    pump.wake(job)
    # Quick, slow, and then quick again at its time.
    wait_until(lambda: job.turns == 3, "its time came")


def test_slow_turns_do_not_keep_quick_ones_waiting(pump: Pump) -> None:
    ends = threading.Event()

    def wait_long(slow: bool) -> Slow | None:
        if not slow:
            return SLOW
        ends.wait(60)
        return None

    slow_ones = [Job(wait_long) for _ in range(20)]
    for job in slow_ones:
        pump.wake(job)
    quick = Job(lambda _: None)
    pump.wake(quick)
    wait_until(lambda: quick.turns == 1, "the quick one had its turn")
    ends.set()
    wait_until(lambda: all(job.turns == 2 for job in slow_ones), "the slow ones had theirs")


def test_who_is_dropped_has_no_turn_any_more(pump: Pump) -> None:
    job = Job(lambda _: time.monotonic() + 0.02)
    pump.wake(job)
    wait_until(lambda: job.turns > 2, "it has turns")
    pump.drop(job)
    other = Job(lambda _: None)
    turns = job.turns + 1
    for _ in range(5):
        pump.wake(job)
        pump.wake(other)
        before = other.turns
        wait_until(lambda before=before: other.turns >= before, "others have turns")
    assert job.turns <= turns


def test_an_error_in_a_turn_costs_the_one_whose_turn_it_was_and_no_thread(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)

    def fall_over(_slow: bool) -> None:
        raise ValueError("nobody expects this")

    poison = [Job(fall_over) for _ in range(20)]
    for job in poison:
        pump.wake(job)
    wait_until(lambda: all(job.has_failed for job in poison), "all have failed")
    wait_until(lambda: len(raised) == len(poison), "it was told")
    for job in poison:
        pump.wake(job)
    good = Job(lambda _: None)
    pump.wake(good)
    wait_until(lambda: good.turns == 1, "there are threads left")
    assert all(job.turns == 1 for job in poison)
