"""How long a process that is told to end may take."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tasks.draining import DrainFlag
from tasks.ending import Ending
from tests.waiting import wait_until


@dataclass
class Process:
    """What is told to end, and what it was asked meanwhile."""

    timeout_s: float = 0.0
    hands_over_within_s: float = 0.0
    celery_ends_within_s: float = 60.0
    is_idle: bool = False
    broker_answers: bool = True
    #: Whether it comes to its end by itself, told to leave.
    leaves: bool = True
    looks: int = 0
    flag: DrainFlag = field(default_factory=DrainFlag)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ending = Ending(
            self.flag,
            self.timeout_s,
            begin=lambda: self.asked.append("begin"),
            give_up=self._give_up,
            end_now=lambda: self.asked.append("end now"),
            is_idle=lambda: self.is_idle,
            broker_answers=self._asks_broker,
            leave=self._leave,
            hands_over_within_s=self.hands_over_within_s,
            celery_ends_within_s=self.celery_ends_within_s,
        )
        self.ending.start()

    def _give_up(self) -> int:
        self.asked.append("give up")
        return 1

    def _asks_broker(self) -> bool:
        self.looks += 1
        return self.broker_answers

    def _leave(self) -> None:
        self.asked.append("leave")
        if self.leaves:
            self.ending.over()

    @property
    def is_watched(self) -> bool:
        return any(each is self.ending._thread for each in threading.enumerate())


def test_nothing_is_asked_of_a_process_that_is_to_go_on() -> None:
    process = Process()

    assert process.asked == []
    assert process.is_watched
    process.flag.set()
    wait_until(lambda: not process.is_watched, "the watch is over")


def test_what_is_not_over_in_time_is_given_up_and_then_ended() -> None:
    process = Process()

    process.flag.set()

    wait_until(lambda: not process.is_watched, "the watch is over")
    assert process.asked == ["begin", "give up", "end now"]


def test_what_is_over_in_time_is_left_alone() -> None:
    process = Process(timeout_s=60)

    process.flag.set()
    wait_until(lambda: process.asked, "it begins to end")
    process.ending.over()

    wait_until(lambda: not process.is_watched, "the watch is over")
    assert process.asked == ["begin"]


def test_what_hands_over_once_it_was_given_up_is_not_ended_by_force() -> None:
    process = Process(hands_over_within_s=60)

    process.flag.set()
    wait_until(lambda: "give up" in process.asked, "it is given up")
    process.ending.over()

    wait_until(lambda: not process.is_watched, "the watch is over")
    assert process.asked == ["begin", "give up"]


def test_who_has_nothing_in_hand_does_not_wait_for_a_broker_that_is_silent() -> None:
    process = Process(timeout_s=60, is_idle=True, broker_answers=False)

    process.flag.set()

    wait_until(lambda: not process.is_watched, "the watch is over")
    assert process.asked == ["begin", "leave"]


def test_who_has_something_in_hand_leaves_once_that_is_over() -> None:
    process = Process(timeout_s=60, broker_answers=False)

    process.flag.set()
    wait_until(lambda: process.looks, "it looks for the broker")
    # It fell silent once: that is enough.
    process.broker_answers = True
    assert process.asked == ["begin"]
    process.is_idle = True

    wait_until(lambda: not process.is_watched, "the watch is over")
    assert process.asked == ["begin", "leave"]
    assert process.looks == 1


def test_celery_is_left_to_end_an_idle_process_while_the_broker_answers() -> None:
    process = Process(timeout_s=60, is_idle=True)

    process.flag.set()
    wait_until(lambda: process.looks > 1, "it looks, and looks again")
    assert process.asked == ["begin"]
    process.ending.over()

    wait_until(lambda: not process.is_watched, "the watch is over")


def test_celery_is_not_waited_for_longer_than_it_may_take() -> None:
    process = Process(timeout_s=60, is_idle=True, celery_ends_within_s=0)

    process.flag.set()

    wait_until(lambda: not process.is_watched, "the watch is over")
    assert process.asked == ["begin", "leave"]


def test_who_does_not_get_to_leave_is_ended_by_force() -> None:
    process = Process(
        timeout_s=0.5, hands_over_within_s=0.5, is_idle=True, broker_answers=False, leaves=False
    )

    process.flag.set()

    wait_until(lambda: not process.is_watched, "the watch is over")
    assert process.asked == ["begin", "leave", "give up", "end now"]


def test_who_waits_for_the_flag_is_woken_however_often_it_is_set() -> None:
    flag = DrainFlag()
    waiting = [threading.Thread(target=flag.wait, daemon=True) for _ in range(3)]
    for each in waiting:
        each.start()
    assert not flag.is_set()

    flag.set()
    flag.set()

    for each in waiting:
        each.join(60)
    assert not any(each.is_alive() for each in waiting)
    flag.wait()
