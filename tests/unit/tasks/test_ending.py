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
    flag: DrainFlag = field(default_factory=DrainFlag)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ending = Ending(
            self.flag,
            self.timeout_s,
            begin=lambda: self.asked.append("begin"),
            give_up=self._give_up,
            end_now=lambda: self.asked.append("end now"),
            hands_over_within_s=self.hands_over_within_s,
        )
        self.ending.start()

    def _give_up(self) -> int:
        self.asked.append("give up")
        return 1

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
