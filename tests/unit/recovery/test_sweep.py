from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Any

from app.recovery.deaths import SECOND_LOOK_S
from app.recovery.sweep import BATCH, MOST_COMMAND_BATCHES, Sweep, SweepOptions
from app.store.bulk import COMMAND_BATCH, Action, Batch, Done
from app.store.records import Deleted, Effect, Place, Recovered, Told
from app.store.sweeps import Fired, LostClaim

AT = datetime(2026, 1, 2, tzinfo=UTC)
LOOK_MS = SweepOptions(recovers=True, most_crashes=5, interval_ms=500).look_ms


def ended(execution_id: str) -> Effect:
    """What comes of an execution that is failed from outside."""
    return Effect(execution_id, Told(3, AT, [("flow:failed", "{}"), ("execution:failed", "{}")]))


@dataclass
class Store:
    """What is lost, what is due; `free`: from when to when (s) a process's lock is free."""

    free: dict[str, tuple[float, float]] = field(default_factory=dict)
    looked_at: list[float] = field(default_factory=list)
    claims: list[LostClaim] = field(default_factory=list)
    overdue: list[LostClaim] = field(default_factory=list)
    silent_workers: list[str] = field(default_factory=list)
    untakable: set[str] = field(default_factory=set)
    giving_up: set[str] = field(default_factory=set)
    timers: list[int] = field(default_factory=list)
    deadlines: list[int] = field(default_factory=list)
    unstarted: list[list[Effect]] = field(default_factory=list)
    overrun: list[list[Effect]] = field(default_factory=list)
    lying: list[str] = field(default_factory=list)
    lying_steps: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    commands: list[Done] = field(default_factory=list)
    is_due: bool = True
    sweeper: str = "w2"
    sweepers: int = 2
    unregistered: list[str] = field(default_factory=list)
    recovered: list[tuple[str, str]] = field(default_factory=list)
    limits: set[int] = field(default_factory=set)
    asked: int = 0
    now: float = 0.0

    def take_beat(self, interval_ms: int) -> int:
        return 0 if self.is_due else 420

    def inherit_beat(self, dead: Sequence[str]) -> bool:
        return self.sweeper in dead

    def count_sweepers(self) -> int:
        return self.sweepers

    def unlocked(self) -> set[str]:
        self.looked_at.append(self.now)
        gone = self.unregistered
        return {
            each
            for each, (since, until) in self.free.items()
            if since <= self.now < until and each not in gone
        }

    def claims_of(self, worker_ids: Sequence[str], limit: int) -> list[LostClaim]:
        self.limits.add(limit)
        self.asked += 1
        assert self.asked < 100, "the sweep goes round in circles"
        return [claim for claim in self.claims if claim.worker_id in worker_ids][:limit]

    def expired(self, limit: int) -> list[LostClaim]:
        self.limits.add(limit)
        return self.overdue[:limit]

    def silent(self) -> list[str]:
        return self.silent_workers

    def unregister(self, worker_ids: Sequence[str]) -> None:
        self.unregistered += worker_ids

    def recover(self, claim: LostClaim, reason: str, most_crashes: int) -> Recovered | None:
        if claim.execution_id in self.untakable:
            return None
        self.claims = [each for each in self.claims if each != claim]
        self.recovered.append((claim.execution_id, reason))
        ended = claim.execution_id in self.giving_up
        type_ = "execution:failed" if ended else "execution:recovered"
        events = [(7, type_, "{}")]
        stopped = [Effect(f"{claim.execution_id}'s child", owners=["w3"])] if ended else []
        at = (claim.execution_id, reason, claim.worker_id, AT)
        return Recovered(*at, ended, events, stopped)

    def end_unstarted(self, limit: int) -> list[Effect]:
        self.limits.add(limit)
        return self.unstarted.pop(0) if self.unstarted else []

    def end_overdue(self, limit: int) -> list[Effect]:
        self.limits.add(limit)
        due = [at for at in self.deadlines if at <= self.now_ms]
        self.deadlines = [at for at in self.deadlines if at not in due]
        return [ended(f"EX due {at}") for at in due]

    def end_overrun(self, limit: int, grace_ms: int) -> list[Effect]:
        self.limits.add(limit)
        return self.overrun.pop(0) if self.overrun else []

    def fire_timers(self, limit: int, within_ms: int) -> Fired:
        due = [at for at in self.timers if at <= self.now_ms]
        self.timers = [at for at in self.timers if at not in due]
        are_over = bool(self.unstarted) or min(self.deadlines, default=inf) <= self.now_ms
        left = [at - self.now_ms for at in self.timers + self.deadlines if at > self.now_ms]
        near = min((each for each in left if each <= within_ms), default=None)
        return Fired([f"EX at {at}" for at in due], are_over, near)

    @property
    def now_ms(self) -> int:
        return round(self.now * 1000)

    def left_lying(self, older_than_ms: int, limit: int) -> list[str]:
        return self.lying[:limit]

    def tell_untold(self, limit: int) -> list[str]:
        return []

    def carry_out_commands(self, limit: int) -> Batch:
        done, self.commands = self.commands[:limit], self.commands[limit:]
        return Batch(len(done), done)

    def forget_keys(self, limit: int) -> None:
        self.limits.add(limit)

    def delete_roots(self, days: int, after: Place | None, limit: int) -> Deleted:
        raise AssertionError("nothing is to be deleted")

    def delete_descendants(self, roots: int, limit: int) -> int:
        return 0

    def purge(self, older_than_ms: int, executions: int, rows: int) -> int:
        return 0

    def forget_audit(self, days: int, rows: int) -> int:
        raise AssertionError("nothing is to be forgotten")

    def lying_queues(self, older_than_ms: int) -> list[str]:
        return list(self.lying_steps)

    def resend_steps(self, older_than_ms: int, queue: str, limit: int) -> list[tuple[str, str]]:
        return self.lying_steps[queue][:limit]


@dataclass
class Setting:
    store: Store
    recovers: bool = True
    may_judge: bool = True
    hinted: list[str] = field(default_factory=list)
    published: list[dict[str, Any]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    new_timers: dict[float, int] = field(default_factory=dict)
    late_ms: dict[str, int] = field(default_factory=dict)
    rooms: dict[str, int] = field(default_factory=dict)
    sent_steps: list[tuple[str, str, str]] = field(default_factory=list)

    def turn(self) -> float:
        store: Any = self.store
        messages: Any = self
        return Sweep(
            store,
            SweepOptions(recovers=self.recovers, most_crashes=5, interval_ms=500),
            publish=lambda _, first, lines: self.published.extend(map(json.loads, lines)),
            messages=messages,
            may_judge=lambda: self.may_judge,
            pause=self._pause,
            tell=lambda effect, command: self.told.append((effect.execution_id, command)),
            clock=lambda: self.store.now,
        ).turn()

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.store.now = round(self.store.now + seconds, 3)
        for at in [at for at in self.new_timers if at <= self.store.now]:
            self.store.timers.append(self.new_timers.pop(at))

    def hint(self, execution_ids: Sequence[str]) -> None:
        self.hinted += execution_ids
        for each in execution_ids:
            if " at " in each:
                self.late_ms[each] = round(self.store.now * 1000) - int(each.split()[-1])

    def room(self, wanted: int, queue: str) -> int:
        return self.rooms.get(queue, wanted)

    def send_steps(self, execution_id: str, queues: Mapping[str, str]) -> None:
        self.sent_steps += [(execution_id, *each) for each in queues.items()]


def claim(number: int, worker: str = "w1") -> LostClaim:
    return LostClaim(f"EX{number}", number, worker)


def test_a_sweep_is_left_to_whoever_has_the_beat() -> None:
    setting = Setting(
        Store(free={"w1": (0.0, 9.0)}, claims=[claim(1)], lying=["EX9"], is_due=False)
    )

    assert setting.turn() == 0

    assert (setting.store.recovered, setting.hinted) == ([], [])
    assert setting.store.now == 0.42


def test_who_has_the_beat_and_dies_is_replaced_at_once() -> None:
    free = {"w2": (0.13, 9.0), "w1": (0.0, 0.25)}
    claims = [claim(1, "w2"), claim(2, "w1")]
    setting = Setting(Store(free=free, claims=claims, lying=["EX9"], is_due=False))

    setting.turn()

    assert setting.store.recovered == [("EX1", "worker_died")]
    assert setting.hinted == ["EX1", "EX9"]
    seen_at, proved_at, next_beat_at = 0.2, 0.2 + SECOND_LOOK_S, 0.9
    assert {seen_at, proved_at} <= set(setting.store.looked_at)
    assert setting.store.now == next_beat_at


def test_all_who_stand_by_look_as_often_as_who_has_the_beat() -> None:
    looks = {}
    for sweepers in (1, 2, 3, 50):
        setting = Setting(Store(is_due=False, sweepers=sweepers))
        setting.turn()
        looks[sweepers] = setting.store.looked_at

    assert looks[1] == looks[2] == [0, 0.1, 0.2, 0.3, 0.4]
    assert looks[3] == [0, 0.2, 0.4]
    assert looks[50] == [0]


def test_without_recovery_nobody_is_watched_while_another_has_the_beat() -> None:
    setting = Setting(Store(is_due=False, sweeper="w1", free={"w1": (0.0, 9.0)}), recovers=False)

    assert setting.turn() == 0.42

    assert (setting.store.looked_at, setting.pauses) == ([], [])


def test_whose_lock_stays_free_is_dead_the_others_are_not() -> None:
    free = {"w1": (0.0, 9.0), "w2": (0.0, 0.15), "w3": (0.4, 9.0)}
    setting = Setting(Store(free=free, claims=[claim(1), claim(2, "w2"), claim(3, "w3")]))

    setting.turn()

    assert setting.store.recovered == [("EX1", "worker_died")]
    assert setting.store.unregistered == ["w1"]
    assert setting.hinted == ["EX1"]


def test_a_death_between_two_beats_is_seen_by_who_has_the_beat() -> None:
    setting = Setting(Store(free={"w1": (0.13, 9.0)}, claims=[claim(1)]))

    setting.turn()

    assert setting.store.recovered == [("EX1", "worker_died")]
    seen_at, proved_at = 0.2, 0.2 + SECOND_LOOK_S
    assert {seen_at, proved_at} <= set(setting.store.looked_at)


def test_what_is_due_is_not_held_up_by_a_lock_that_seems_lost() -> None:
    setting = Setting(Store(free={"w1": (0.0, 0.3)}, timers=[0, 70, 110, 190]))

    setting.turn()

    assert setting.late_ms == {f"EX at {at}": 0 for at in (0, 70, 110, 190)}


def test_all_that_the_dead_own_is_taken_in_batches() -> None:
    many = [claim(number) for number in range(2 * BATCH + 1)]
    setting = Setting(Store(free={"w1": (0.0, 9.0)}, claims=many))

    setting.turn()

    assert len(setting.store.recovered) == 2 * BATCH + 1
    assert setting.store.limits == {BATCH}


def test_a_claim_that_can_not_be_taken_does_not_hold_the_sweep_up() -> None:
    setting = Setting(
        Store(
            free={"w1": (0.0, 9.0)}, claims=[claim(1), claim(2)], untakable={"EX1"}, lying=["EX9"]
        )
    )

    setting.turn()

    assert setting.store.recovered == [("EX2", "worker_died")]
    assert "EX9" in setting.hinted


def test_expired_leases_are_judged_by_who_may() -> None:
    for may_judge in (False, True):
        setting = Setting(Store(overdue=[claim(1)], silent_workers=["w9"]), may_judge=may_judge)

        setting.turn()

        assert setting.store.recovered == ([("EX1", "expired_claim")] if may_judge else [])
        assert setting.store.unregistered == (["w9"] if may_judge else [])


def test_the_dead_are_dead_whoever_looks() -> None:
    setting = Setting(Store(free={"w1": (0.0, 9.0)}, claims=[claim(1)]), may_judge=False)

    setting.turn()

    assert setting.store.recovered == [("EX1", "worker_died")]


def test_without_recovery_timers_and_hints_go_on() -> None:
    store = Store(free={"w1": (0.0, 9.0)}, claims=[claim(1)], overdue=[claim(2)])
    store.timers, store.lying = [0], ["EX9"]
    setting = Setting(store, recovers=False)

    setting.turn()

    assert store.recovered == []
    assert store.unregistered == []
    assert sorted(setting.hinted) == ["EX at 0", "EX9"]


def test_a_recovery_is_told_and_what_was_given_up_is_not_hinted() -> None:
    setting = Setting(
        Store(free={"w1": (0.0, 9.0)}, claims=[claim(1), claim(2)], giving_up={"EX1"})
    )

    setting.turn()

    assert [(each["executionId"], each["index"], each["type"]) for each in setting.published] == [
        ("EX1", 7, "execution:failed"),
        ("EX2", 7, "execution:recovered"),
    ]
    assert setting.hinted == ["EX2"]
    assert setting.told == [("EX1's child", "stop")]


def test_owners_of_what_is_ended_hear_of_it() -> None:
    owned = Effect("EX2", ended("EX2").told, ["w1"])
    setting = Setting(Store(overrun=[[ended("EX1"), owned]]))

    setting.turn()

    assert setting.told == [("EX2", "stop")]
    assert {each["executionId"] for each in setting.published} == {"EX1", "EX2"}


def test_timers_before_the_next_beat_fire_each_at_its_time() -> None:
    setting = Setting(Store(timers=[0, 120, 300, 900]))

    setting.turn()

    assert setting.hinted == ["EX at 0", "EX at 120", "EX at 300"]
    assert set(setting.late_ms.values()) == {0}


def test_no_other_work_of_a_turn_holds_timers_up_until_it_is_all_done() -> None:
    class Slow(Store):
        """Each part of its sweep takes 20 ms, and so does each claim of the dead."""

        def _pass(self) -> None:
            self.now = round(self.now + 0.02, 3)

        def recover(self, claim: LostClaim, reason: str, most_crashes: int) -> Recovered | None:
            self._pass()
            return super().recover(claim, reason, most_crashes)

        def tell_untold(self, limit: int) -> list[str]:
            self._pass()
            return []

        def carry_out_commands(self, limit: int) -> Batch:
            self._pass()
            return super().carry_out_commands(limit)

        def forget_keys(self, limit: int) -> None:
            self._pass()

    many = MOST_COMMAND_BATCHES * COMMAND_BATCH
    store = Slow(overdue=[claim(number) for number in range(10)], commands=commands(many, "stop"))
    store.timers = list(range(5, 340, 5))
    setting = Setting(store)

    setting.turn()

    assert len(setting.late_ms) == len(range(5, 340, 5))
    assert max(setting.late_ms.values()) <= 2 * 20


def test_a_beat_without_anything_due_asks_for_nothing_that_is_over() -> None:
    class Strict(Store):
        def end_unstarted(self, limit: int) -> list[Effect]:
            raise AssertionError("nothing is over")

        end_overdue = end_unstarted

    setting = Setting(Strict(timers=[100, 300]))

    setting.turn()

    assert setting.hinted == ["EX at 100", "EX at 300"]


def told(setting: Setting, execution_id: str) -> list[tuple[int, str]]:
    return [
        (each["index"], each["type"])
        for each in setting.published
        if each["executionId"] == execution_id
    ]


def test_what_is_too_late_is_ended_in_batches_and_told() -> None:
    store = Store(
        unstarted=[[ended("EX1"), ended("EX2")], [ended("EX3")]],
        overrun=[[Effect("EX4"), ended("EX5")]],
    )
    setting = Setting(store)

    setting.turn()

    for each in ("EX1", "EX2", "EX3", "EX5"):
        assert told(setting, each) == [(3, "flow:failed"), (4, "execution:failed")]
    assert told(setting, "EX4") == []
    assert store.limits == {BATCH}
    assert (store.unstarted, store.overrun) == ([], [])


def test_deadlines_before_the_next_beat_are_kept_each_at_its_time() -> None:
    setting = Setting(Store(timers=[200], deadlines=[100, 300, 900]))

    setting.turn()

    assert [told(setting, f"EX due {at}") != [] for at in (100, 300, 900)] == [True, True, False]
    assert setting.late_ms == {"EX at 200": 0}
    assert setting.store.now == 0.5


def test_a_timer_that_is_set_after_the_beat_is_late_by_one_look_at_most() -> None:
    setting = Setting(Store(timers=[480]), new_timers={0.1: 110, 0.3: 301, 0.4: 900})

    setting.turn()

    assert setting.late_ms.keys() == {"EX at 110", "EX at 301", "EX at 480"}
    assert all(0 <= late_ms <= LOOK_MS for late_ms in setting.late_ms.values())


def test_the_next_turn_comes_one_interval_after_this_one_began() -> None:
    setting = Setting(Store(free={"w1": (0.0, 0.1)}))

    assert setting.turn() == 0.0
    assert setting.store.now == 0.5


def test_a_turn_that_took_longer_than_the_interval_is_followed_at_once() -> None:
    class Slow(Store):
        def expired(self, limit: int) -> list[LostClaim]:
            self.now += 0.7
            return []

    setting = Setting(Slow(timers=[650]))

    assert setting.turn() == 0.0
    assert (setting.store.now, setting.hinted) == (0.7, ["EX at 650"])


def test_a_timer_that_is_due_and_held_is_not_asked_for_without_pause() -> None:
    class Held(Store):
        def fire_timers(self, limit: int, within_ms: int) -> Fired:
            return Fired([], False, 0)

    setting = Setting(Held(timers=[0]))

    setting.turn()

    assert 0 < len(setting.pauses) <= 60
    assert sum(setting.pauses) < 0.6


def commands(count: int, action: Action) -> list[Done]:
    return [Done(action, Effect(f"EX{n}")) for n in range(count)]


def test_commands_that_were_left_are_carried_out_and_told() -> None:
    setting = Setting(Store(commands=[*commands(1, "start"), *commands(2, "stop")]))

    setting.turn()

    assert setting.told == [("EX0", "start"), ("EX0", "stop"), ("EX1", "stop")]
    assert setting.hinted == ["EX0"]


def test_a_turn_leaves_the_rest_of_many_commands_to_the_next() -> None:
    most = COMMAND_BATCH * MOST_COMMAND_BATCHES
    setting = Setting(Store(commands=commands(most + 3, "stop")))

    setting.turn()
    assert len(setting.told) == most
    setting.turn()
    assert len(setting.told) == most + 3


def test_what_lies_in_a_queue_is_sent_again_as_far_as_its_consumers_have_room() -> None:
    lying = {"default": [("EX1", "a"), ("EX2", "a")], "gpu": [("EX1", "b"), ("EX3", "b")]}
    setting = Setting(Store(lying_steps={**lying, "full": [("EX4", "c")]}))
    setting.rooms = {"gpu": 1, "full": 0}

    setting.turn()

    assert setting.sent_steps == [
        ("EX1", "a", "default"),
        ("EX2", "a", "default"),
        ("EX1", "b", "gpu"),
    ]
