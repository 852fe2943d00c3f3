from __future__ import annotations

from dataclasses import dataclass, field

from app.recovery.deaths import FORGOTTEN_S, SECOND_LOOK_S, DeathWatch

INTERVAL_S = 0.1


@dataclass
class Locks:
    """Whose locks are free; an answer takes `takes_s`."""

    free: set[str] = field(default_factory=set)
    takes_s: float = 0.0
    now: float = 50.0

    def unlocked(self) -> set[str]:
        self.now += self.takes_s
        return set(self.free)

    def watch(self) -> DeathWatch:
        return DeathWatch(self.unlocked, lambda: self.now)


def test_one_look_proves_nothing() -> None:
    locks = Locks({"w1"})
    watch = locks.watch()

    assert watch.look() == []
    assert watch.look() == []


def test_free_for_as_long_as_it_takes_is_dead_and_told_once() -> None:
    locks = Locks({"w2", "w1"})
    watch = locks.watch()
    watch.look()
    locks.now += SECOND_LOOK_S

    assert watch.look() == ["w1", "w2"]
    assert watch.look() == []


def test_held_at_a_look_in_between_is_not_dead() -> None:
    locks = Locks({"w1"})
    watch = locks.watch()
    watch.look()
    locks.now += SECOND_LOOK_S / 2
    locks.free = set()
    watch.look()
    locks.now += SECOND_LOOK_S / 2
    locks.free = {"w1"}

    assert watch.look() == []


def test_the_time_counts_from_an_answer_to_a_question() -> None:
    locks = Locks({"w1"}, takes_s=SECOND_LOOK_S)
    watch = locks.watch()
    watch.look()

    assert watch.look() == []
    assert watch.look() == ["w1"]


def test_what_was_seen_long_ago_is_forgotten() -> None:
    locks = Locks({"w1"})
    watch = locks.watch()
    watch.look()
    locks.now += FORGOTTEN_S + 0.1

    assert watch.look() == []


def test_the_next_look_comes_when_it_can_prove_a_death() -> None:
    locks = Locks()
    watch = locks.watch()
    assert watch.next_in_s(INTERVAL_S) == 0
    watch.look()
    assert round(watch.next_in_s(INTERVAL_S), 6) == INTERVAL_S

    slow = locks.watch()
    locks.free = {"w1"}
    slow.look()
    assert round(slow.next_in_s(5.0), 6) == SECOND_LOOK_S
